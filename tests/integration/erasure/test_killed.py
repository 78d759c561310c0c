"""Erasing and dropping days by processes that are killed: the next run finishes, and the chain says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.erasure import (
    ERASE_AT_ONCE,
    Selection,
    abandoned_erasures,
    eraser,
    go_on,
)
from celerytrail.sql.maintain import SCHEDULE, Bounds, Done, maintain_once
from celerytrail.sql.migrate import migrate
from celerytrail.sql.named_queries import queries
from tests.integration.erasure.erasable_ledger import assert_clean, captured, erased, phases, store
from tests.integration.erasure.test_retain import retained
from tests.span_rows import NOON, payload_row, span_row
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

ERASE = "from celerytrail.sql.erase_command import erase_command; erase_command()"
RETAIN = "from celerytrail.sql.retain_command import retain; retain()"

SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'celerytrail retain'"
    " AND datname = current_database()"
)


@contextmanager
def running(
    program: str, database: MigratedDatabase, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, killed at the end if it has not ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--actor", "bob", "--yes", "--json", *arguments],
        env={**os.environ, "CELERYTRAIL_DSN": database.dsn("maintainer")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def kill(process: subprocess.Popen[str]) -> None:
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL


def test_an_erasure_that_was_killed_half_way(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ids = [f"task-{number:05}" for number in range(2 * ERASE_AT_ONCE + 10)]
    items = [payload_row(task_id, "args", f'"canary {task_id}"'.encode()) for task_id in ids]
    assert ledger.write_payloads(migrated.token, items).inserted == len(ids)
    done = "SELECT count(*) FROM celerytrail.actions WHERE verb = 'erase' AND phase = 'progress'"
    with migrated.connect(autocommit=False) as holder:
        # The third batch cannot be erased while somebody holds one of its rows.
        holder.execute("SELECT FROM celerytrail.payloads WHERE task_id = %s FOR UPDATE", [ids[-1]])
        with running(ERASE, migrated, "--service", "shop") as process:
            wait_until(lambda: migrated.value(done) == 2, "two batches to be erased")
            kill(process)
    left = "SELECT count(*) FROM celerytrail.payloads"
    # Its session may still be at it: what it has not committed is rolled back or done, nothing between.
    assert migrated.value(left) in (0, 10)
    # What was not erased yet is marked already: nothing of it comes back.
    assert ledger.write_payloads(migrated.token, items).refused == len(items)
    assert_clean(migrated)
    told = erased(migrated, "--resume")
    assert migrated.value(left) == 0
    assert told["finished"][0]["tasks"] == len(ids)
    named = migrated.rows(
        "SELECT t.value ->> 'task_id' FROM celerytrail.actions a"
        " CROSS JOIN json_array_elements(a.detail -> 'tasks') t WHERE a.verb = 'erase' ORDER BY 1"
    )
    assert [name for (name,) in named] == ids
    said = phases(migrated, "erase")
    assert (said[0], said[-1]) == (("intent", "bob"), ("outcome", "bob"))
    assert ("progress", "ann") in said
    assert_clean(migrated)


def test_an_erasure_whose_server_was_killed_half_way(
    server_directory: Path, postgres_bin: str | None
) -> None:
    from tests.databases import MigratedDatabase  # a plugin of pytest: not before it is loaded

    ids = [f"task-{number:05}" for number in range(2 * ERASE_AT_ONCE + 10)]
    items = [payload_row(task_id, "args", f'"canary {task_id}"'.encode()) for task_id in ids]
    done = "SELECT count(*) FROM celerytrail.actions WHERE verb = 'erase' AND phase = 'progress'"
    with EmbeddedPostgres(server_directory / "erased", bin_dir=postgres_bin) as server:
        migrate(server.create_database("ledger"))
        token = MigratedDatabase(server, "ledger", b"").new_token(name="shop")
        database = MigratedDatabase(server, "ledger", token)
        ledger = Ledger(database.dsn("sink"), timeout_seconds=60)
        ledger.open()
        assert ledger.write_payloads(token, items).inserted == len(ids)
        ledger.close()
        with psycopg.connect(database.dsn()) as holder:
            holder.execute(
                "SELECT FROM celerytrail.payloads WHERE task_id = %s FOR UPDATE", [ids[-1]]
            )
            with running(ERASE, database, "--service", "shop") as process:
                wait_until(lambda: database.value(done) == 2, "two batches to be erased")
                os.kill(server.pid, signal.SIGKILL)
                wait_until(lambda: not server.running, "the server to be gone")
                _, said = process.communicate(timeout=60)
            assert process.returncode == 1
            assert "run the same again to finish" in said
            holder.close()
        server.start()
        assert database.value(done) == 2
        assert_clean(database)
        told = erased(database, "--resume")
        assert told["finished"][0]["tasks"] == len(ids)
        assert database.value("SELECT count(*) FROM celerytrail.payloads") == 0
        assert phases(database, "erase")[-1] == ("outcome", "bob")
        assert_clean(database)


def test_the_schedule_finishes_an_erasure_that_was_killed_and_leaves_one_that_runs_alone(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ids = [f"task-{number:05}" for number in range(ERASE_AT_ONCE + 10)]
    items = [payload_row(task_id, "args", f'"canary {task_id}"'.encode()) for task_id in ids]
    assert ledger.write_payloads(migrated.token, items).inserted == len(ids)
    done = "SELECT count(*) FROM celerytrail.actions WHERE verb = 'erase' AND phase = 'progress'"
    state = "SELECT open, remaining, marks FROM celerytrail_views.erasure_state"
    assert migrated.rows(state) == [(0, 0, 0)]

    def a_round(abandoned_seconds: int) -> list[str]:
        said: list[Done] = []
        bounds = Bounds(abandoned_seconds=abandoned_seconds, check_seconds=86400)
        assert maintain_once(migrated.dsn("maintainer"), said.append, bounds), said
        return [one.message for one in said if one.step == "erasures"]

    with migrated.connect(autocommit=False) as holder:
        holder.execute("SELECT FROM celerytrail.payloads WHERE task_id = %s FOR UPDATE", [ids[-1]])
        with running(ERASE, migrated, "--service", "shop") as process:
            wait_until(lambda: migrated.value(done) == 1, "a batch to be erased")
            assert a_round(0) == [], "somebody is at it"
            kill(process)
        assert migrated.rows(state) == [(1, 10, len(ids))]
    wait_until(
        lambda: (
            migrated.value(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            == 0
        ),
        "its session to end",
    )
    assert a_round(3600) == [], "it may be between two sessions"
    said = a_round(0)
    assert len(said) == 2
    assert said[0].startswith("going on with the erasure")
    assert said[1].endswith(f": {len(ids)} tasks")
    assert migrated.value("SELECT count(*) FROM celerytrail.payloads") == 0
    assert migrated.rows(state) == [(0, 0, len(ids))]
    assert a_round(0) == []
    told = phases(migrated, "erase")
    assert (told[0], told[-1]) == (("intent", "bob"), ("outcome", "bob"))
    assert told.count(("progress", "celerytrail maintain")) == 1
    (outcome,) = migrated.rows(
        "SELECT detail FROM celerytrail.actions WHERE verb = 'erase' AND phase = 'outcome'"
    )
    assert outcome[0]["continued_by"] == "celerytrail maintain"
    assert_clean(migrated)


def test_the_schedule_says_once_that_it_goes_on(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ids = [f"task-{number:05}" for number in range(2 * ERASE_AT_ONCE)]
    items = [payload_row(task_id, "args", b'"canary"') for task_id in ids]
    assert ledger.write_payloads(migrated.token, items).inserted == len(ids)
    with eraser(migrated.dsn("maintainer")) as connection:
        selection = Selection(("args",), service="shop")
        begin = {**selection.parameters(), "erasure_id": uuid.uuid4(), "actor": "bob", "actor_kind": "operator", "reason": None}  # fmt: skip
        connection.execute(queries("erasure")["begin"], begin)
        rounds = 0
        while found := abandoned_erasures(connection, 0):
            done = go_on(connection, found[0], SCHEDULE, seconds=0)
            rounds += 1
            assert rounds < 10
        assert rounds > 2
    assert done is not None
    assert done.tasks == len(ids)
    assert phases(migrated, "erase").count(("progress", "celerytrail maintain")) == 1
    assert_clean(migrated)


@pytest.mark.parametrize("role", ["sink", "grafana", "actions", "verifier"])
def test_nobody_else_finishes_erasures(migrated: MigratedDatabase, role: str) -> None:
    with (
        migrated.connect(role) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT FROM celerytrail.abandoned_erasures(0)")


def test_a_drop_that_was_killed_while_it_waited(migrated: MigratedDatabase, ledger: Ledger) -> None:
    old = NOON - timedelta(days=4)
    store(ledger, migrated, captured("old", 1, at=old), captured("new", 11))
    announced = "SELECT count(*) FROM celerytrail.day_drops WHERE dropped_at IS NULL"
    with migrated.connect("grafana", autocommit=False) as reader:
        # On a slow machine it stays for longer than its role may by itself.
        reader.execute("SET idle_in_transaction_session_timeout = 0")
        reader.execute("SELECT count(*) FROM celerytrail_views.spans").fetchall()
        with running(RETAIN, migrated, "--days", "2") as process:
            wait_until(lambda: migrated.value(announced) == 1, "the day to be announced")
            kill(process)
            # Until then its session waits for the reader, and would drop the day after all.
            wait_until(lambda: migrated.value(SESSIONS) == 0, "its session to end")
    assert ledger.write_spans(migrated.token, [span_row(90, "sent", at=old)]).inserted == 1
    told = retained(migrated, "--days", "2")
    assert [(day["day"], day["rows"]) for day in told["dropped"]] == [(old.date().isoformat(), 5)]
    assert phases(migrated, "retention") == [("intent", "bob"), ("outcome", "bob")]
    (outcome,) = migrated.rows(
        "SELECT detail FROM celerytrail.actions WHERE verb = 'retention' AND phase = 'outcome'"
    )
    assert outcome[0]["rows"] == 5
    assert_clean(migrated)


def test_two_runs_at_once_drop_each_day_once(migrated: MigratedDatabase, ledger: Ledger) -> None:
    days = [NOON - timedelta(days=days) for days in (5, 4, 3)]
    for number, day in enumerate(days):
        store(ledger, migrated, captured(f"old-{number}", 1 + 10 * number, at=day))
    with migrated.connect("grafana", autocommit=False) as reader:
        reader.execute("SET idle_in_transaction_session_timeout = 0")
        reader.execute("SELECT count(*) FROM celerytrail_views.spans").fetchall()
        with (
            running(RETAIN, migrated, "--days", "2") as one,
            running(RETAIN, migrated, "--days", "2") as other,
        ):
            wait_until(lambda: migrated.value(SESSIONS) == 2, "both to have looked")
            announced = "SELECT count(*) FROM celerytrail.day_drops"
            wait_until(lambda: migrated.value(announced) == 1, "the first day to be announced")
            reader.rollback()
            said = [process.communicate(timeout=120) for process in (one, other)]
            assert (one.returncode, other.returncode) == (0, 0), said
    dropped = [day["day"] for out, _ in said for day in json.loads(out)["dropped"]]
    assert sorted(dropped) == [day.date().isoformat() for day in days]
    assert len(phases(migrated, "retention")) == 2 * len(days)
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks") == 0
    assert_clean(migrated)
