"""The check of the endpoint against real servers on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from celerytrail.examples.embedded.ports import free_port
from celerytrail.exporter.agent.doctor import endpoint_checks
from celerytrail.exporter.agent.doctor.endpoint_checks import endpoint
from celerytrail.exporter.agent.doctor.finding import ERROR, WARNING, Finding
from tests.unit.agent.doctor.recordings import recording


@contextmanager
def serving(status: int = 405, ahead: float = 0.0, date: bool = True) -> Iterator[str]:
    """A server of HTTP whose clock is ``ahead`` seconds before ours; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status if self.path == "/in/v1/traces" else 500)
            if date:
                self.send_header("Date", formatdate(time.time() + ahead, usegmt=True))
            self.end_headers()
            self.server.asked = dict(self.headers)  # type: ignore[attr-defined]

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/in"
        finally:
            server.shutdown()
            thread.join()
    assert "authorization" not in {name.lower() for name in getattr(server, "asked", {})}


@contextmanager
def saying(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that takes one connection and talks by itself; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            taken, _ = listener.accept()
            with taken:
                talk(taken)

        thread = threading.Thread(target=take)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def found_at(folder: Path, url: str, **environ: str) -> list[Finding]:
    return [
        *endpoint(recording(folder, CELERYTRAIL_ENDPOINT=url, CELERYTRAIL_TOKEN="t", **environ))
    ]


def test_a_receiver_that_answers_is_well(tmp_path: Path) -> None:
    for status in (200, 401, 405):
        with serving(status) as url:
            assert found_at(tmp_path, url) == []
    with serving(date=False) as url:
        assert found_at(tmp_path, url) == []


@pytest.mark.parametrize(
    ("ahead", "words"), [(60.0, "s ahead of this host's"), (-3600.0, "s behind this host's")]
)
def test_another_clock_is_found(tmp_path: Path, ahead: float, words: str) -> None:
    with serving(ahead=ahead) as url:
        (finding,) = found_at(tmp_path, url)
    assert finding.severity == WARNING
    assert words in finding.found


@pytest.mark.parametrize(
    ("told", "skew"), [(99, 0.0), (100, 0.0), (102, 0.0), (103, 1.0), (98, -1.0), (40, -59.0)]
)
def test_the_skew_is_what_the_seconds_do_not_explain(told: int, skew: float) -> None:
    date = formatdate(told, usegmt=True)
    assert endpoint_checks._skew(date, 100.0, 102.0) == skew
    assert endpoint_checks._skew("yesterday", 100.0, 102.0) is None
    assert endpoint_checks._skew(None, 100.0, 102.0) is None


def test_an_endpoint_of_traces_is_asked_as_it_is(tmp_path: Path) -> None:
    with serving() as url:
        whole = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/v1/traces"}
        assert [*endpoint(recording(tmp_path, **whole))] == []
    (finding,) = endpoint(recording(tmp_path, **whole))
    assert finding.found.startswith(url.removesuffix("/in") + " refuses")


def test_something_else_that_listens_is_found(tmp_path: Path) -> None:
    with serving(404) as url:
        (finding,) = found_at(tmp_path, url)
    assert finding.severity == WARNING
    assert "404" in finding.found


def test_nothing_that_listens_is_found_and_no_path_is_shown(tmp_path: Path) -> None:
    port = free_port()
    (finding,) = found_at(tmp_path, f"http://127.0.0.1:{port}/hush")
    assert finding.severity == ERROR
    assert finding.found == (
        f"http://127.0.0.1:{port} refuses the connection: nothing listens there"
    )


@pytest.mark.parametrize("url", ["sink:4318", "http://", "ftp://sink", "http://sink:port"])
def test_what_is_no_url_is_found(tmp_path: Path, url: str) -> None:
    (finding,) = found_at(tmp_path, url)
    assert "is no URL" in finding.found


def test_a_user_in_the_url_is_found_and_not_shown(tmp_path: Path) -> None:
    (finding,) = found_at(tmp_path, "http://ann:hush@127.0.0.1:1")
    assert "user in its URL" in finding.found
    assert "hush" not in str(finding)


def test_what_does_not_speak_http_is_found(tmp_path: Path) -> None:
    def talk(taken: socket.socket) -> None:
        taken.recv(1)
        taken.sendall(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00 settings of HTTP/2\r\n\r\n")

    with saying(talk) as port:
        (finding,) = found_at(tmp_path, f"http://127.0.0.1:{port}")
    assert "does not speak HTTP" in finding.found


def test_what_does_not_speak_tls_is_found(tmp_path: Path) -> None:
    def talk(taken: socket.socket) -> None:
        taken.recv(1)
        taken.sendall(b"HTTP/1.1 400 plain\r\n\r\n")

    with saying(talk) as port:
        (finding,) = found_at(tmp_path, f"https://127.0.0.1:{port}")
    assert "does not agree on TLS" in finding.found


def test_a_receiver_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_checks, "ANSWER_SECONDS", 0.2)
    asked = threading.Event()
    with saying(lambda _: (asked.wait(60), None)[1]) as port:
        (finding,) = found_at(tmp_path, f"http://127.0.0.1:{port}")
        asked.set()
    assert "does not answer within" in finding.found


def test_a_name_that_takes_for_ever_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def look(*_: object, **__: object) -> list[object]:
        looked.wait(60)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look)
    monkeypatch.setattr(endpoint_checks, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(endpoint_checks, "ANSWER_SECONDS", 0.1)
    (finding,) = found_at(tmp_path, "http://sink.example:4318")
    looked.set()
    assert "does not answer in time" in finding.found


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "ca.pem")
    (finding,) = found_at(tmp_path, "https://127.0.0.1:1", OTEL_EXPORTER_OTLP_CERTIFICATE=missing)
    assert missing in finding.found
