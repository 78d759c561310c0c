"""Reads a JWKS document over HTTP within bounds: time, size, no redirects, one kind of key."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from celerytrail.action_api.errors import ActionApiError

MAX_BYTES = 64 * 1024
MAX_KEYS = 64
TIMEOUT_SECONDS = 2.0


class JwksError(ActionApiError):
    """The document could not be had, or held no key that we take. Nobody sees it but the log."""


def fetch_keys(url: str, seconds: float = TIMEOUT_SECONDS) -> Mapping[str, EllipticCurvePublicKey]:
    """Return the P-256 keys for signatures, by their ids.

    ``url`` comes from the configuration and never from a request or a token. The whole of it,
    name resolution too, takes ``seconds`` at most: it is done by a thread of its own, whose
    connection is cut where it takes longer. Raises JwksError.
    """
    answers: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    line = _Line()

    def work() -> None:
        try:
            answers.put(_get(url, seconds, line))
        except Exception as exc:  # noqa: BLE001 - the waiting thread decides what it means
            answers.put(exc)

    threading.Thread(target=work, name="celerytrail-jwks", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        # A server that sends a byte now and then would else keep a thread with each question.
        line.cut()
        raise JwksError(f"no answer within {seconds:g} s") from None
    if isinstance(answer, JwksError):
        raise answer
    # A host or path that cannot be put into a request at all is a ValueError (UnicodeError).
    if isinstance(answer, (OSError, http.client.HTTPException, ValueError)):
        raise JwksError(f"{type(answer).__name__}: {answer}") from answer
    if isinstance(answer, Exception):
        raise answer
    return parse_keys(answer)


def parse_keys(document: bytes) -> Mapping[str, EllipticCurvePublicKey]:
    """Return the keys of a JWKS document (RFC 7517) that can verify ES256, by their ids.

    Keys of other kinds are passed over. Raises JwksError when none is left or it is no JWKS.
    """
    try:
        found = json.loads(document)
    except (ValueError, RecursionError) as exc:
        raise JwksError("the answer is not JSON") from exc
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise JwksError("the answer is not a list of keys")
    keys = {}
    for entry in listed:
        key = _key(entry)
        if key is not None:
            keys[entry["kid"]] = key
    if not keys:
        raise JwksError("the answer holds no P-256 key for signatures with an id")
    return keys


def _key(entry: Any) -> EllipticCurvePublicKey | None:
    wanted = {"kty": "EC", "crv": "P-256", "use": "sig"}
    if not isinstance(entry, dict) or any(entry.get(k) != v for k, v in wanted.items()):
        return None
    if entry.get("alg", "ES256") != "ES256" or "d" in entry:
        return None
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        return None
    try:
        key = PyJWK.from_dict(entry, algorithm="ES256").key
    except (PyJWTError, ValueError, TypeError):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) else None


class _Line:
    """The connection of one question, so that whoever waits for the answer can end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = False

    def opened(self, connected: socket.socket) -> None:
        with self._lock:
            self._socket = connected
            if self._cut:
                raise JwksError("nobody waits for the answer any more")

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


def _get(url: str, seconds: float, line: _Line) -> bytes:
    parts = urlsplit(url)
    assert parts.hostname is not None  # the configuration was checked
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=seconds, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    try:
        connection.connect()
        line.opened(connection.sock)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/json"})
        with connection.getresponse() as response:
            if response.status != 200:
                # A redirect too: following one would let whoever answers choose where keys come from.
                raise JwksError(f"the answer has status {response.status}")
            content = response.read(MAX_BYTES + 1)
    finally:
        connection.close()
    if len(content) > MAX_BYTES:
        raise JwksError(f"the answer is larger than {MAX_BYTES} bytes")
    return content
