"""The maintainer's other work, and its life as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.maintain import Bounds, Done, maintain_once
from celerytrail.sql.maintain_command import maintain
from celerytrail.sql.migrate import migrate
from tests.integration.roles.ledger_database import (
    LedgerDatabase,
    committing,
    in_order,
    payload,
    payload_in_order,
    span,
)
from tests.waiting import DEADLINE_SECONDS

pytest_plugins = ["tests.databases"]


def a_round(database: LedgerDatabase, bounds: Bounds | None = None) -> list[str]:
    done: list[Done] = []
    assert maintain_once(database.dsn("maintainer"), done.append, bounds), done
    return [one.message for one in done]


def age(database: LedgerDatabase, days: int) -> None:
    """Make every payload and quarantined item look as if it had come so long ago."""
    database.run(
        "ALTER TABLE celerytrail.payloads DISABLE TRIGGER forbid_change;"
        f"UPDATE celerytrail.payloads SET received_at = received_at - interval '{days} days';"
        "ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER forbid_change;"
        f"UPDATE celerytrail.quarantine SET received_at = received_at - interval '{days} days'"
    )


def kept_payloads(database: LedgerDatabase) -> set[bytes]:
    with database.connect() as superuser:
        rows = superuser.execute("SELECT commitment FROM celerytrail.payloads").fetchall()
    return {bytes(row[0]) for row in rows}


def test_partitions_are_made_ahead(ledger_database: LedgerDatabase) -> None:
    tomorrow = "(now() AT TIME ZONE 'UTC')::date + 1"
    name = str(ledger_database.value(f"SELECT to_char({tomorrow}, 'YYYYMMDD')"))
    for parent in ("spans", "leaf_groups", "payloads"):
        ledger_database.run(f"DROP TABLE celerytrail.{parent}_{name}")
    assert "made the partitions of 1 days" in a_round(ledger_database)
    for parent in ("spans", "leaf_groups", "payloads"):
        assert ledger_database.value("SELECT to_regclass(%s)", f"celerytrail.{parent}_{name}")
    assert a_round(ledger_database) == []


@pytest.mark.parametrize("role", ["sink", "actions"])
def test_a_long_transaction_of_a_writer_is_ended_whatever_is_said_in_it(
    ledger_database: LedgerDatabase, role: str
) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    done: list[str] = []
    with ledger_database.connect(role) as young, ledger_database.connect(role) as writer:
        writer.execute("BEGIN")
        with suppress(psycopg.OperationalError):
            while time.monotonic() < deadline:
                writer.execute("SELECT 1")
                young.execute("SELECT 1")
                done += a_round(ledger_database, Bounds(writer_seconds=1))
        assert writer.broken
        assert any(f"of celerytrail_{role}: it was in a transaction" in line for line in done)
        young.execute("SELECT 1")


def test_a_payload_whose_record_named_another_is_removed_after_a_day(
    ledger_database: LedgerDatabase,
) -> None:
    """A shipper killed between payload and span begins again with another salt."""
    named = payload("task-1")
    resent = payload("task-1", stream_id=named["stream_id"])
    waiting = payload("task-2")
    values = committing(span(1, task_id="task-1", stream_id=named["stream_id"]), named)
    with ledger_database.ledger() as ledger:
        items = [payload_in_order(item) for item in (resent, named, waiting)]
        assert ledger.write_payloads(ledger_database.token, items).inserted == 3
        assert ledger.write_spans(ledger_database.token, [in_order(values)]).inserted == 1

    assert a_round(ledger_database) == []
    age(ledger_database, days=2)
    assert a_round(ledger_database) == ["removed 1 payloads that no span names (resent)"]
    # Its span may still lie in a spool of a host that was away.
    assert kept_payloads(ledger_database) == {named["commitment"], waiting["commitment"]}
    age(ledger_database, days=6)
    assert a_round(ledger_database) == ["removed 1 payloads that no span names (unclaimed)"]
    assert kept_payloads(ledger_database) == {named["commitment"]}
    ledger_database.assert_clean()


def test_a_payload_that_any_span_of_its_task_names_is_kept(ledger_database: LedgerDatabase) -> None:
    shared = payload("task-1")
    with ledger_database.ledger() as ledger:
        ledger.write_payloads(ledger_database.token, [payload_in_order(shared)])
        rows = [
            in_order(span(1, task_id="task-1", stream_id=shared["stream_id"])),
            in_order(committing(span(2, task_id="task-1"), shared)),
        ]
        assert ledger.write_spans(ledger_database.token, rows).inserted == 2
    age(ledger_database, days=30)
    assert a_round(ledger_database) == []
    assert kept_payloads(ledger_database) == {shared["commitment"]}


def test_orphans_are_removed_in_bounded_batches(ledger_database: LedgerDatabase) -> None:
    items = [payload_in_order(payload(f"task-{number}")) for number in range(25)]
    with ledger_database.ledger() as ledger:
        assert ledger.write_payloads(ledger_database.token, items).inserted == 25
    age(ledger_database, days=30)
    with ledger_database.connect("maintainer") as maintainer:
        found: list[Any] = []
        while not found or found[-1][0]:
            found += maintainer.execute(
                "SELECT examined, removed FROM celerytrail.collect_orphans('unclaimed', '1 day', 10)"
            ).fetchall()
    assert found == [(10, 10), (10, 10), (5, 5), (0, 0)]


def test_young_payloads_cannot_be_removed(ledger_database: LedgerDatabase) -> None:
    with ledger_database.ledger() as ledger:
        ledger.write_payloads(ledger_database.token, [payload_in_order(payload("task-1"))])
    with ledger_database.connect("maintainer") as maintainer:
        for scan in ("resent", "unclaimed"):
            row = maintainer.execute(
                "SELECT examined FROM celerytrail.collect_orphans(%s, '-1 day', 10)", (scan,)
            ).fetchone()
            assert row == (0,)


def test_old_quarantine_is_trimmed(ledger_database: LedgerDatabase) -> None:
    with ledger_database.ledger() as ledger:
        ledger.quarantine(ledger_database.token, "a test", [b"old"] * 3)
    age(ledger_database, days=31)
    with ledger_database.ledger() as ledger:
        ledger.quarantine(ledger_database.new_token(name="another"), "a test", [b"new"])
    assert a_round(ledger_database) == ["removed 3 items of the quarantine"]
    assert ledger_database.value("SELECT count(*) FROM celerytrail.quarantine") == 1


def test_a_step_that_fails_keeps_no_other_from_its_work(ledger_database: LedgerDatabase) -> None:
    ledger_database.run(
        "REVOKE EXECUTE ON FUNCTION celerytrail_admin.restore_roles() FROM celerytrail_maintainer;"
        "DROP TABLE celerytrail.spans_before_all"
    )
    result = CliRunner().invoke(
        maintain, ["--dsn", ledger_database.dsn("maintainer"), "--once", "--json"]
    )
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.output.splitlines()]
    failed = [line for line in lines if not line["ok"]]
    assert [line["step"] for line in failed] == ["roles"]
    assert "permission denied" in failed[0]["message"]


def test_once_says_when_there_was_nothing_to_do(ledger_database: LedgerDatabase) -> None:
    result = CliRunner().invoke(maintain, ["--dsn", ledger_database.dsn("maintainer"), "--once"])
    assert (result.exit_code, result.output) == (0, "nothing to do\n")


def test_guards_that_were_changed_are_named_at_the_start(ledger_database: LedgerDatabase) -> None:
    assert not any("not as designed" in message for message in a_round(ledger_database))
    ledger_database.run("ALTER TABLE celerytrail.blocks DISABLE TRIGGER link")
    named = "not as designed: changed trigger link on celerytrail.blocks"
    assert any(message.startswith(named) for message in a_round(ledger_database))


def test_a_database_without_the_schema_is_refused(
    postgres: EmbeddedPostgres, database: str
) -> None:
    result = CliRunner().invoke(maintain, ["--dsn", postgres.dsn(database), "--once"])
    assert result.exit_code == 1
    assert "Run `celerytrail migrate`" in result.output


def test_a_wrong_dsn_is_explained(ledger_database: LedgerDatabase) -> None:
    dsn = "postgresql://celerytrail_maintainer:a-secret@127.0.0.1:1/nowhere"
    result = CliRunner().invoke(maintain, ["--dsn", dsn, "--once"])
    assert result.exit_code == 1
    assert "celerytrail_maintainer@127.0.0.1:1/nowhere" in result.output
    assert "a-secret" not in result.output


@contextmanager
def process(dsn: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`celerytrail maintain` as a service would run it."""
    code = "from celerytrail.sql.maintain_command import maintain; maintain()"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-c", code, "--every", "1", "--json"],
            env={**os.environ, "CELERYTRAIL_DSN": dsn, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()
            running.wait()


def wait_for(log: Path, text: str, running: subprocess.Popen[bytes], times: int = 1) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while log.read_text().count(text) < times:
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.fixture
def own_server(server_directory: Path, postgres_bin: str | None) -> Iterator[EmbeddedPostgres]:
    """A server that a test may stop."""
    with EmbeddedPostgres(
        server_directory / "maintained", bin_dir=postgres_bin, settings={"fsync": "off"}
    ) as server:
        yield server


def test_an_outage_of_the_database_is_outlived(
    own_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    superuser = own_server.create_database("ledger")
    migrate(superuser)
    dsn, log = own_server.dsn("ledger", "celerytrail_maintainer"), tmp_path / "log"
    spoil = "ALTER ROLE celerytrail_grafana SET work_mem = '1GB'"
    with process(dsn, log) as running:
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(spoil)
        wait_for(log, "restored the settings", running)
        own_server.stop()
        wait_for(log, "again in 2 s", running)
        assert '"ok": false' in log.read_text()
        own_server.start()
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(spoil)
        wait_for(log, "restored the settings", running, times=2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it(
    ledger_database: LedgerDatabase, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    ledger_database.run("ALTER ROLE celerytrail_grafana SET work_mem = '1GB'")
    with process(ledger_database.dsn("maintainer"), log) as running:
        wait_for(log, "restored the settings", running)
        running.send_signal(number)
        assert running.wait(30) == 0
    assert "Traceback" not in log.read_text()


def test_a_signal_ends_it_while_the_database_is_away(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process("postgresql://celerytrail_maintainer@127.0.0.1:1/nowhere", log) as running:
        wait_for(log, "again in 1 s", running)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
