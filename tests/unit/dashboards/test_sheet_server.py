"""The server that the drawing browser asks: it gives out little, and to nobody else."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from celerytrail.dashboards.drawing.server import serving


@pytest.fixture
def address() -> Iterator[str]:
    with serving({"one": {"a": 1}}) as found:
        yield urlsplit(found).netloc


def ask(address: str, path: str, host: str | None = None, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or address)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_gives_out_sheets_and_pages(address: str) -> None:
    assert address.startswith("127.0.0.1:")
    status, body = ask(address, "/sheets/one")
    assert (status, json.loads(body)) == (200, {"a": 1})
    for page in ("/?sheet=one", "/transform"):
        status, body = ask(address, page)
        assert status == 200
        assert b"<script" in body


@pytest.mark.parametrize(
    "path",
    [
        "/sheets/two",
        "/sheets/",
        "/package.json",
        "/dist/../package.json",
        "/dist/%2e%2e/package.json",
        "/fonts/../../package.json",
        "/fonts//etc/passwd",
        "/dist/.celerytrail-sources",
    ],
)
def test_it_gives_out_nothing_else(address: str, path: str) -> None:
    assert ask(address, path) == (404, b"")


def test_it_answers_only_to_its_own_name(address: str) -> None:
    assert ask(address, "/sheets/one", host="evil.example") == (403, b"")
    assert ask(address, "/sheets/one", method="POST")[0] == 501
