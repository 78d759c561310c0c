"""Requests that no well-meaning client sends: through a real socket to a real server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from urllib.parse import urlencode

import pytest
from celery import Celery

from tests.action_api_process import ActionApiProcess, ApiAnswer
from tests.integration.action_api.served import MANY, SHOP_PARAMETERS, Served, alice
from tests.waiting import wait_until

pytest_plugins = ["tests.integration.action_api.served_fixtures"]

WHOAMI = "/v1/viewer/whoami"
ACTION = b"Content-Type: application/json\r\nX-Celerytrail-Action: 1\r\n"
PURGE = urlencode({**SHOP_PARAMETERS, "queue": "orders", "seen_depth": "0"})
LAST = b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def send(served: Served, line: str, headers: bytes, body: bytes = b"") -> bytes:
    head = f"{line} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n".encode()
    return served.api.raw(head + headers + b"\r\n" + body)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/operator/../admin/purge", 404),
        ("/v1/operator/..%2fadmin%2fpurge", 404),
        ("/v1/operator/%2e%2e/admin/purge", 404),
        ("/v1/operator/..%252fadmin/purge", 404),
        ("/v1/admin/purge/", 404),
        ("/v1/admin/purge;x=1", 404),
        ("/v1/Admin/purge", 404),
        ("/v1//admin/purge", 404),
        ("/v1/admin//purge", 404),
        ("/v1/admin/purge", 403),
        ("//v1/admin/purge", 403),
        ("http://elsewhere/v1/admin/purge", 403),
    ],
)
def test_no_address_makes_an_editor_an_admin(served: Served, path: str, expected: int) -> None:
    headers = lines(alice("Editor")) + ACTION + b"Content-Length: 2\r\n"
    answer = send(served, f"POST {path}?{PURGE}", headers, b"{}")
    assert status(answer) == expected, answer
    assert b"Content-Type: application/problem+json" in answer
    assert b"Location:" not in answer


@pytest.mark.parametrize(
    "more",
    [
        b"X-Grafana-Foo: a\r\n b\r\n",
        b"X-A: a\nX-Grafana-User: b\r\n",
        b"X-A: a\0b\r\n",
        b"X-Celerytrail-Proxy : other\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"X-Grafana-Id:\r\n",
        b"X-Celerytrail-Proxy:\r\n",
        b"Authorization:\r\n",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_headers_that_two_servers_may_read_in_two_ways(
    served: Served, more: bytes, first: bool
) -> None:
    proofs = lines(alice())
    answer = send(
        served, f"GET {WHOAMI}", more + proofs if first else proofs + more, b"2\r\n{}\r\n0\r\n\r\n"
    )
    assert status(answer) in (400, 401, 501), answer
    assert b'"name"' not in answer


def test_proofs_in_a_trailer_prove_nothing(served: Served) -> None:
    headers = ACTION + b"Transfer-Encoding: chunked\r\nTrailer: X-Grafana-Id\r\n"
    body = b"2\r\n{}\r\n0\r\n" + lines(alice()) + b"\r\n"
    assert status(send(served, f"POST /v1/admin/purge?{PURGE}", headers, body)) == 401


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("line", [f"GET {WHOAMI}", "POST /nothing", "POST /v1/operator/retry"])
def test_a_body_that_nobody_reads_is_no_second_request(
    served: Served, line: str, chunked: bool
) -> None:
    hidden = f"GET {WHOAMI} HTTP/1.1\r\nHost: x\r\n".encode() + lines(alice()) + b"\r\n"
    if chunked:
        framed = (
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(hidden) + hidden + b"\r\n0\r\n\r\n"
        )
    else:
        framed = b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden
    answer = served.api.raw(f"{line} HTTP/1.1\r\nHost: x\r\n".encode() + framed + LAST)
    assert answer.count(b"HTTP/1.1 ") == 2, answer
    assert b'"status":"ok"' in answer.replace(b" ", b"")
    assert b"alice" not in answer


def test_slow_strangers_do_not_hold_every_thread(
    another_api: Callable[..., ActionApiProcess],
) -> None:
    """One header line now and then: no single wait is long, and the request never ends."""
    api = another_api(MANY, "--threads", "2")
    strangers = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(2)]
    try:
        for stranger in strangers:
            stranger.sendall(b"GET /live HTTP/1.1\r\n")

        def answers() -> bool:
            for stranger in strangers:
                with suppress(OSError):  # it was sent away
                    stranger.sendall(b"X-A: 1\r\n")
            try:
                return api.request("GET", "/live", timeout=0.5).status == 200
            except OSError:
                return False

        assert not answers()
        wait_until(answers, "somebody else gets an answer")
    finally:
        for stranger in strangers:
            stranger.close()


def test_a_confirmation_that_is_used_many_times_at_once_is_used_once(
    served: Served, another_api: Callable[..., ActionApiProcess]
) -> None:
    replicas = [served.api, another_api()]
    app = Celery("shop", broker=served.valkey.url, set_as_current=False)
    with app:
        for _ in range(3):
            app.send_task("shop.pay", args=[1], queue="orders")
        queue = {**SHOP_PARAMETERS, "queue": "orders"}
        shown = served.api.act("/v1/admin/preview/purge", alice(), queue)
        assert shown.status == 200, shown
        parameters = {**queue, "confirmation": shown.json()["confirmation"]}
        barrier = Barrier(8)

        def use(number: int) -> ApiAnswer:
            barrier.wait(30)
            return replicas[number % 2].act("/v1/admin/purge", alice(), parameters)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(use, range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    assert {answer.code for answer in answers if answer.status == 409} == {"confirmation_used"}
