"""A JWKS document over real HTTP: bounded, not redirected, and only what can verify ES256."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from celerytrail.action_api.identity.jwks import MAX_BYTES, JwksError, fetch_keys, parse_keys
from tests.integration.action_api.grafana_identity import KEY, KeyServer, send
from tests.waiting import wait_until


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer() as made:
        yield made


def test_the_keys_are_those_of_the_document(server: KeyServer) -> None:
    keys = fetch_keys(server.url)
    assert keys[KEY.kid].public_numbers() == KEY.private.public_key().public_numbers()


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def other_keys() -> dict[str, Any]:
    good = KEY.public_jwk()
    rsa_key = rsa.generate_private_key(65537, 2048)
    p384 = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()))
    return {
        "RSA": {**json.loads(RSAAlgorithm.to_jwk(rsa_key.public_key())), "use": "sig", "kid": "k"},
        "P-384": {**p384, "use": "sig", "kid": "k"},
        "P-384 said to be P-256": {**p384, "crv": "P-256", "use": "sig", "kid": "k"},
        "a shared secret": {"kty": "oct", "k": "c2VjcmV0", "use": "sig", "kid": "k"},
        "for encryption": {**good, "use": "enc"},
        "for no use": {name: value for name, value in good.items() if name != "use"},
        "of another algorithm": {**good, "alg": "ES384"},
        "with its private part": {**good, "d": good["x"]},
        "without an id": {name: value for name, value in good.items() if name != "kid"},
        "with a number for an id": {**good, "kid": 1},
        "not on the curve": {**good, "y": good["x"]},
        "without y": {name: value for name, value in good.items() if name != "y"},
        "with a word": {**good, "x": "not base64!"},
        "no object": "key",
    }


@pytest.mark.parametrize("case", other_keys())
def test_other_keys_are_passed_over(case: str) -> None:
    odd = other_keys()[case]
    with pytest.raises(JwksError):
        parse_keys(document(odd))
    assert set(parse_keys(document(odd, KEY.public_jwk()))) == {KEY.kid}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"keys": {}}',
        b"[" * 100_000,
        document(*[KEY.public_jwk()] * 65),
    ],
)
def test_what_is_no_jwks_is_refused(content: bytes) -> None:
    with pytest.raises(JwksError):
        parse_keys(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("keys"), inner),
    )
)
def test_any_json_is_keys_or_an_error(content: Any) -> None:
    with pytest.raises(JwksError):
        parse_keys(json.dumps(content).encode())


def answer_slowly(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte of the headers now and then: no single wait is long."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    try:
        for _ in range(200):
            handler.wfile.write(b"X")
            handler.wfile.flush()
            if handler.server.released.wait(0.05):  # type: ignore[attr-defined]
                return
    except OSError:
        return


ANSWERS: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "not found": lambda handler: send(handler, 404, b"{}"),
    "redirect": lambda handler: send(
        handler, 307, document(KEY.public_jwk()), {"Location": "/elsewhere"}
    ),
    "too large": lambda handler: send(
        handler, 200, document(KEY.public_jwk(), {"pad": "x" * MAX_BYTES})
    ),
    "no HTTP": lambda handler: handler.wfile.write(b"SSH-2.0\r\n") and None,
    "drop by drop": answer_slowly,
}


@pytest.mark.parametrize("case", ANSWERS)
def test_another_answer_is_an_error(server: KeyServer, case: str) -> None:
    server._server.released = server.released  # type: ignore[union-attr]
    server.answer = ANSWERS[case]
    with pytest.raises(JwksError):
        fetch_keys(server.url, seconds=0.5)
    assert server.asked == ["/api/signing-keys/keys"]


def test_nobody_there_is_an_error(server: KeyServer) -> None:
    server.stop()
    with pytest.raises(JwksError):
        fetch_keys(server.url)


def drip_body(handler: BaseHTTPRequestHandler) -> None:
    """Send a document that never ends, byte by byte."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while not handler.server.released.wait(0.02):  # type: ignore[attr-defined]
            handler.wfile.write(b" ")
            handler.wfile.flush()
    except OSError:
        return


def test_no_thread_is_left_with_a_server_that_never_ends(server: KeyServer) -> None:
    server._server.released = server.released  # type: ignore[union-attr]
    for answer in (drip_body, answer_slowly):
        server.answer = answer
        with pytest.raises(JwksError):
            fetch_keys(server.url, seconds=0.3)
    wait_until(
        lambda: not [t for t in threading.enumerate() if t.name == "celerytrail-jwks"],
        "the threads that asked have ended",
        seconds=5,
    )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/kéys", "http://.a/keys", f"http://{'x' * 64}.example/keys"]
)
def test_an_address_that_cannot_be_asked_is_an_error(url: str) -> None:
    with pytest.raises(JwksError):
        fetch_keys(url)
