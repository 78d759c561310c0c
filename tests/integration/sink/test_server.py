"""The sink as a process: how it starts, refuses to start, survives its database, and ends."""

from __future__ import annotations

import signal
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from tests.otlp_requests import SHOP, logs, payload, span, traces
from tests.sink_process import PROTOBUF, SinkProcess
from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    from tests.sink_fixtures import SinkDatabase

pytest_plugins = ["tests.sink_fixtures"]


def test_it_says_where_it_listens(sink: SinkProcess) -> None:
    wait_until(lambda: f"listening on {sink.url}\n" in sink.output, "it says so")
    assert sink.output.count("listening on") == 1


def test_sigterm_finishes_what_is_in_flight(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    body = traces([span(1)], uuid.uuid4()).SerializeToString()
    with socket.create_connection(("127.0.0.1", sink.port), timeout=30) as connection:
        connection.sendall(
            f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\n"
            f"Authorization: Bearer {sink.token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body[:10]
        )
        wait_until(lambda: sink.metric("requests_in_flight") == 1, "it is in flight")
        assert sink.process is not None
        sink.process.send_signal(signal.SIGTERM)

        def closed() -> bool:
            try:
                socket.create_connection(("127.0.0.1", sink.port), timeout=5).close()
            except ConnectionRefusedError:
                return True
            return False

        wait_until(closed, "nobody can connect any more")
        connection.sendall(body[10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert sink.process.wait(DEADLINE_SECONDS) == 0
    assert sink_database.value("SELECT count(*) FROM celerytrail.spans") == 1


def refused_start(sink: SinkProcess) -> str:
    """Start a sink that must not start; return the one line it says."""
    process = sink.spawn()
    code = process.wait(DEADLINE_SECONDS)
    assert code == 1
    lines = [line for line in sink.output.splitlines() if line.startswith("celerytrail sink: ")]
    assert len(lines) == 1, sink.output
    assert "Traceback" not in sink.output
    assert "listening" not in sink.output
    return lines[0]


def test_without_a_dsn(sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess]) -> None:
    assert "CELERYTRAIL_DSN" in refused_start(make_sink(sink_database, CELERYTRAIL_DSN=""))


@pytest.mark.parametrize(
    "dsn",
    [
        "this is no dsn",
        "host=127.0.0.1 port=1 dbname=nowhere user=celerytrail_sink password=hunter2",
    ],
)
def test_a_wrong_dsn(
    sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess], dsn: str
) -> None:
    sink = make_sink(
        sink_database,
        CELERYTRAIL_DSN=dsn,
        CELERYTRAIL_SINK_START_SECONDS="1",
        CELERYTRAIL_SINK_DATABASE_SECONDS="1",
    )
    refused_start(sink)
    assert "hunter2" not in sink.output


def test_a_wrong_password_is_not_shown(
    sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess]
) -> None:
    head, _, tail = sink_database.dsn.partition("celerytrail_sink:")
    sink = make_sink(
        sink_database,
        CELERYTRAIL_DSN=f"{head}celerytrail_sink:hunter2@{tail.partition('@')[2]}",
        CELERYTRAIL_SINK_START_SECONDS="1",
        CELERYTRAIL_SINK_DATABASE_SECONDS="1",
    )
    refused_start(sink)
    assert "hunter2" not in sink.output


def test_an_empty_database(
    postgres: EmbeddedPostgres,
    database: str,
    sink_database: SinkDatabase,
    make_sink: Callable[..., SinkProcess],
) -> None:
    name = f"empty_{uuid.uuid4().hex[:8]}"
    postgres.create_database(name)
    try:
        dsn = postgres.dsn(name, "celerytrail_sink")
        assert "celerytrail migrate" in refused_start(make_sink(sink_database, CELERYTRAIL_DSN=dsn))
    finally:
        postgres.drop_database(name)


def test_a_newer_schema(sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess]) -> None:
    sink_database.execute(
        "INSERT INTO celerytrail.migrations (id, name, sha256, breaking)"
        " VALUES (9999, '9999_from_the_future', %s, true)",
        b"\0" * 32,
    )
    said = refused_start(make_sink(sink_database))
    assert "9999_from_the_future" in said
    assert "newer" in said


def test_a_guard_that_is_gone(
    sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess]
) -> None:
    sink_database.execute("ALTER TABLE celerytrail.spans DISABLE TRIGGER seal")
    assert "seal" in refused_start(make_sink(sink_database))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE RULE swallow AS ON INSERT TO celerytrail.spans DO INSTEAD NOTHING",
        "ALTER TABLE celerytrail.spans ENABLE ROW LEVEL SECURITY",
        """CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql
           AS 'BEGIN RETURN NULL; END';
           CREATE TRIGGER swallow BEFORE INSERT ON celerytrail.spans
           FOR EACH ROW EXECUTE FUNCTION public.swallow()""",
        "ALTER TABLE celerytrail.payloads DISABLE TRIGGER own_deployment",
    ],
    ids=["rule", "row security", "trigger", "disabled"],
)
def test_a_superuser_swallows_rows_and_nobody_hears_200(
    sink: SinkProcess, sink_database: SinkDatabase, statement: str
) -> None:
    stream = uuid.uuid4()
    assert sink.post(traces([span(1)], stream)).status == 200
    sink_database.execute(statement)
    wait_until(lambda: sink.request("GET", "/ready").status == 503, "the guards notice")
    requests = ((traces([span(2)], stream), "/v1/traces"), (logs([payload()], stream), "/v1/logs"))
    for request, path in requests:
        answer = sink.post(request, path)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
    assert sink_database.value("SELECT count(*) FROM celerytrail.spans") == 1


@pytest.fixture
def own_postgres(server_directory: Path, postgres_bin: str | None) -> EmbeddedPostgres:
    """A server that a test may stop."""
    return EmbeddedPostgres(server_directory / f"own-{uuid.uuid4().hex[:8]}", bin_dir=postgres_bin)


def test_the_database_goes_away_and_comes_back(
    own_postgres: EmbeddedPostgres, make_sink: Callable[..., SinkProcess]
) -> None:
    from tests.sink_fixtures import prepared

    stream = uuid.uuid4()
    with own_postgres as server:
        server.create_database("trail")
        database = prepared(server, "trail")
        sink = make_sink(database, CELERYTRAIL_SINK_DATABASE_SECONDS="5")
        sink.start()
        request = traces([span(1)], stream)
        assert sink.post(request).status == 200
        server.stop()
        for path, message in (("/v1/traces", request), ("/v1/logs", logs([payload()], stream))):
            answer = sink.post(message, path)
            assert answer.status == 503, answer
            assert int(answer.headers["retry-after"]) > 0
        assert sink.request("GET", "/health").status == 200
        assert sink.request("GET", "/ready").status == 503
        assert sink.metric("database_errors_total", kind="unavailable") >= 2
        server.start()
        more = traces([span(1), span(2)], stream)
        wait_until(lambda: sink.post(more).status == 200, "it writes again")
        assert sink.request("GET", "/ready").status == 200
        assert database.value("SELECT count(*) FROM celerytrail.spans") == 2
        assert "Traceback" not in sink.output
        assert database.dsn.split(":")[2].split("@")[0] not in sink.output


def test_it_waits_for_a_database_when_told_to(
    own_postgres: EmbeddedPostgres, make_sink: Callable[..., SinkProcess]
) -> None:
    from tests.sink_fixtures import prepared

    with own_postgres as server:
        server.create_database("trail")
        database = prepared(server, "trail")
        server.stop()
        sink = make_sink(database, "--wait-for-database", CELERYTRAIL_SINK_DATABASE_SECONDS="2")
        sink.start()
        request = traces([span(1)], uuid.uuid4())
        assert sink.post(request).status == 503
        server.start()
        wait_until(lambda: sink.post(request).status == 200, "it writes")


def test_several_workers_add_up_their_counters(
    sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess]
) -> None:
    sink = make_sink(sink_database, "--workers", "2")
    sink.start()
    for number in range(1, 21):
        assert sink.post(traces([span(number)], uuid.uuid4())).status == 200
    assert len(sink.worker_pids()) == 2
    assert sink.metric("spans_inserted_total", deployment=SHOP.label) == 20
    assert sink.stop() == 0
