"""`celerytrail doctor --sink`: real sinks over one ledger or two, and whatever else may answer there."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from celerytrail.examples.embedded.ports import free_port
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.doctor.sink_answer import SinkAnswer, ask, shown
from celerytrail.sql.doctor.sink_checks import _clock
from celerytrail.sql.doctor_command import doctor

if TYPE_CHECKING:
    from tests.sink_fixtures import SinkDatabase
    from tests.sink_process import SinkProcess

pytest_plugins = ["tests.databases", "tests.sink_fixtures"]

SECRET = "ctk_very-secret-token"


def found(database: SinkDatabase, *urls: str, token: str | None = None) -> list[tuple[str, str]]:
    """Return level and text of what is found about sinks; the token is nowhere in what is printed."""
    arguments = [part for url in urls for part in ("--sink", url)]
    environ = {"CELERYTRAIL_TOKEN": token, "CELERYTRAIL_TOKEN_FILE": None}
    for options in ([], ["--json"]):
        done = CliRunner(env=environ).invoke(doctor, ["--dsn", database.dsn, *arguments, *options])
        assert done.exit_code in (0, 1, 3), done.output
        assert token is None or token.strip() not in done.output
    findings: list[dict[str, Any]] = json.loads(done.output)["findings"]
    said = [one for one in findings if one["check"] == "sinks"]
    assert all(one["todo"] for one in said if one["level"] != "ok")
    return [(one["level"], one["found"]) for one in said]


def url(sink: SinkProcess) -> str:
    return f"http://127.0.0.1:{sink.port}"


def test_sinks_are_compared_with_the_database(
    postgres: EmbeddedPostgres,
    sink_database: SinkDatabase,
    make_sink: Callable[..., SinkProcess],
) -> None:
    mine = make_sink(sink_database, CELERYTRAIL_SINK_CHAINS="2", CELERYTRAIL_SINK_CHAIN="3")
    mine.start()
    # Not imported above: it is named as a plugin, which has to come first.
    from tests.sink_fixtures import prepared

    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name)
    try:
        elsewhere = prepared(postgres, name)
        other = make_sink(elsewhere)
        other.start()
        ((level, text),) = found(sink_database, url(mine), token=sink_database.token)
        assert (level, text.endswith(" of this ledger, chains 3, 4")) == ("ok", True), text
        ((level, text),) = found(sink_database, url(mine))
        assert (level, text) == (
            "ok",
            f"{url(mine)} is ready; with CELERYTRAIL_TOKEN it says of which ledger it is",
        )
        ((level, text),) = found(sink_database, url(mine), token="wrong")
        assert (level, "does not know the token" in text) == ("fail", True)
        # The doctor of one database, a token that is good there, and the sink of another.
        here, there = (
            one.value("SELECT ledger_id::text FROM celerytrail.ledger")
            for one in (sink_database, elsewhere)
        )
        first, second = found(sink_database, url(other), url(mine), token=elsewhere.token)
        assert first == ("fail", f"{url(other)} writes to ledger {there}, this is {here}")
        assert second[0] == "fail"

        sink_database.execute(
            "INSERT INTO celerytrail.migrations (id, name, sha256, breaking)"
            " VALUES (9999, '9999_from_the_future', %s, false)",
            b"\0" * 32,
        )
        ((level, text),) = found(sink_database, url(mine), token=sink_database.token)
        assert (level, "is older than the schema: it knows migration" in text) == ("warn", True)
        sink_database.execute("DELETE FROM celerytrail.migrations WHERE id = 9999")

        sink_database.execute("ALTER TABLE celerytrail.spans DISABLE TRIGGER seal")
        for token in (None, sink_database.token):
            ((level, text),) = found(sink_database, url(mine), token=token)
            assert (level, "receives nothing: guards of the ledger" in text) == ("fail", True), text
    finally:
        for sink in (mine, other):
            sink.close()
        postgres.drop_database(name)


def test_a_stranger_is_told_nothing_of_the_ledger(sink: SinkProcess) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        answer = sink.request("GET", "/about", headers=headers)
        assert (answer.status, set(json.loads(answer.body))) == (401, {"message"})


def test_nobody_there_and_addresses_that_are_not_asked(sink_database: SinkDatabase) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    rows = found(
        sink_database,
        nobody,
        "http://sink.example:4318",
        "https://user:hunter2@127.0.0.1:4318",
        "nonsense",
        "https://no-such-host.invalid",
        token=SECRET,
    )
    assert [text for _, text in rows] == [
        f"{nobody} refuses the connection: nothing listens there",
        "http://sink.example:4318 is not asked: plain http is for this host alone, use https",
        "https://127.0.0.1:4318 is no URL of a sink, such as https://sink.example:4318",
        "a sink's URL is no URL of a sink, such as https://sink.example:4318",
        "https://no-such-host.invalid cannot be found: the name of the host is unknown",
    ]
    assert {level for level, _ in rows} == {"fail"}


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], str]]:
    """Servers on this host that answer the same to everything."""
    servers: list[HTTPServer] = []

    def start(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/about")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (200, b"<html>", "answers something else than a sink does"),
        (200, b"[1]", "answers something else than a sink does"),
        (200, b'{"a": "' + b"x" * 100_000 + b'"}', "answers something else than a sink does"),
        (302, b"{}", ""),
    ],
)
def test_what_is_no_sink(
    answering: Callable[[int, bytes], str], status: int, body: bytes, trouble: str
) -> None:
    answer = ask(answering(status, body), SECRET)
    # A redirect is not followed, so that the token goes nowhere else.
    assert (answer.trouble, answer.status) == (trouble, 0 if trouble else status)


def test_a_token_with_a_line_break_is_shown_to_nobody(
    answering: Callable[[int, bytes], str],
) -> None:
    assert SECRET not in repr(ask(answering(200, b"{}"), f"{SECRET}\r\nX: y"))


@pytest.mark.parametrize(
    ("ahead", "level"), [(0.0, None), (1.0, None), (10.0, "warn"), (-10.0, "warn"), (90.0, "fail")]
)
def test_a_clock_that_differs(ahead: float, level: str | None) -> None:
    now = time.time()
    answer = SinkAnswer("", 200, {"time": now + ahead}, now - 0.5, now + 0.5)
    levels = [one.level.value for one in _clock("sink", answer.said, answer)]
    assert levels == ([] if level is None else [level])


def test_what_is_shown_of_an_address() -> None:
    assert shown("https://me:hunter2@sink.example:4318/x?token=y") == "https://sink.example:4318"
    assert shown("https://[::1") == "a sink's URL"
