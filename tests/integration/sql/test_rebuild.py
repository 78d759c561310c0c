"""A rebuild beside writers and readers: the same rows as the sinks made, from nothing but the ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner

from celerytrail.sql.read_model import RebuildFailed, rebuild_read_model
from celerytrail.sql.rebuild_command import rebuild
from tests.span_rows import NOON, STREAM, span_row, task_rows
from tests.waiting import wait_until

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

LIE = (
    "UPDATE celerytrail.tasks SET state = 'succeeded', finished_at = now() WHERE task_id LIKE 'task-%3';"
    "UPDATE celerytrail.runs SET worker = 'celery@nobody' WHERE task_id LIKE 'task-%4';"
    "DELETE FROM celerytrail.tasks WHERE task_id LIKE 'task-%5';"
    "INSERT INTO celerytrail.workers (namespace, service, environment, worker, state, seen_at, state_key)"
    " VALUES ('acme', 'shop', 'test', 'celery@invented', 'online', now(), '')"
)


def a_day(tasks: int, stream: uuid.UUID = STREAM, name: str = "task") -> list[tuple[Any, ...]]:
    """So many tasks of four steps each, every third of them failed and half of them in one group."""
    return [
        row
        for number in range(tasks)
        for row in task_rows(
            4 * number + 1,
            stream=stream,
            task_id=f"{name}-{number}",
            at=NOON + timedelta(milliseconds=10 * number),
            end="succeeded" if number % 3 else "failed",
            group_id="g" if number % 2 else None,
        )
    ]


def check(database: MigratedDatabase) -> dict[str, int]:
    with database.connect() as connection:
        found = rebuild_read_model(connection, repair=False)
    return {table: rows for table, rows in found.differing.items() if rows}


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do some work again and again in a thread, as long as the block lasts; its error ends the test."""
    over, begun = threading.Event(), threading.Event()

    def go_on() -> None:
        while not over.is_set():
            try:
                work()
            finally:
                begun.set()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(go_on)
        begun.wait(60)
        try:
            yield
        finally:
            over.set()
        future.result(60)


def test_it_repairs_what_differs_while_sinks_write_and_viewers_read(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ledger.write_spans(migrated.token, a_day(200))
    migrated.run(LIE)
    visible = migrated.value("SELECT count(*) FROM celerytrail.tasks")
    least = [visible]
    streams = (uuid.uuid5(STREAM, f"more-{number}") for number in range(10**6))

    def write() -> None:
        stream = next(streams)
        ledger.write_spans(migrated.token, a_day(5, stream, f"late-{stream}"))

    def read() -> None:
        least.append(migrated.value("SELECT count(*) FROM celerytrail.tasks"))

    with meanwhile(write), meanwhile(read), migrated.connect() as connection:
        done = rebuild_read_model(connection, rows_at_once=100)
    assert min(least) >= visible
    # Of 200 tasks 20 end in each digit; two digits were lied about in tasks, one in runs.
    assert done.differing["tasks"] == 40
    assert done.differing["runs"] == 20
    assert done.differing["workers"] == 1
    assert check(migrated) == {}
    assert migrated.rows(
        "SELECT state, count(*) FROM celerytrail.tasks WHERE task_id LIKE 'task-%%' GROUP BY 1 ORDER BY 1"
    ) == [("failed", 67), ("succeeded", 133)]
    assert migrated.value("SELECT to_regnamespace('shadow_of_celerytrail')") is None


def test_a_check_changes_nothing_and_names_what_differs(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ledger.write_spans(migrated.token, a_day(3))
    runner = CliRunner()
    found = runner.invoke(rebuild, ["--dsn", migrated.dsn(), "--check", "--json"])
    assert (found.exit_code, json.loads(found.stdout)["rows"]) == (0, 0)

    migrated.run(
        "UPDATE celerytrail.tasks SET state = 'succeeded' WHERE task_id = 'task-0';"
        "DELETE FROM celerytrail.runs WHERE task_id = 'task-1'"
    )
    lied = migrated.read_model()
    found = runner.invoke(rebuild, ["--dsn", migrated.dsn(), "--check", "--json"])
    said = json.loads(found.stdout)
    assert (found.exit_code, said["rows"], said["repaired"]) == (1, 2, False)
    by_table = {one["table"]: one for one in said["differences"]}
    assert by_table["tasks"] == {
        "table": "tasks",
        "key": "acme shop test task-0",
        "column": "state",
        "stored": "succeeded",
        "rebuilt": "failed",
    }
    assert (by_table["runs"]["stored"], by_table["runs"]["rebuilt"]) == ("no row", "a row")
    shown = runner.invoke(rebuild, ["--dsn", migrated.dsn(), "--check", "--first", "1"])
    assert len(shown.stdout.splitlines()) == 2
    assert migrated.read_model() == lied

    repaired = runner.invoke(rebuild, ["--dsn", migrated.dsn()])
    assert (repaired.exit_code, check(migrated)) == (0, {})


def test_one_that_was_killed_is_gone_on_with(migrated: MigratedDatabase, ledger: Ledger) -> None:
    many = 300  # so many that one at a time takes longer than to look whether it has begun
    rows = a_day(many)
    for start in range(0, len(rows), 4):
        ledger.write_spans(migrated.token, rows[start : start + 4])
    before = migrated.read_model()
    migrated.run(LIE)
    lied = migrated.value("SELECT count(*) FROM celerytrail.tasks")
    process = subprocess.Popen(
        [sys.executable, "-m", "celerytrail.exporter.cli", "rebuild", "--rows-at-once", "1"],
        env={**os.environ, "CELERYTRAIL_DSN": migrated.dsn()},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: rows_read(migrated) >= 10 or process.poll() is not None, "some progress")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    read = rows_read(migrated)
    assert 10 <= read < many, "it was killed neither before it began nor after its end"
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks") == lied

    with migrated.connect() as connection:
        # The server may not have noticed yet that its client is gone.
        done = wait_until(lambda: unless_another_runs(connection), "the lock of the killed one")
    assert done.resumed
    assert 0 < done.spans <= 4 * (many - read)
    assert migrated.read_model() == before


def rows_read(database: MigratedDatabase) -> int:
    try:
        return int(database.value("SELECT coalesce(sum(n), 0) FROM shadow_of_celerytrail.progress"))
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable):
        return 0


def unless_another_runs(connection: Any) -> Any:
    try:
        return rebuild_read_model(connection)
    except RebuildFailed:
        return None


def test_there_is_one_at_a_time(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ledger.write_spans(migrated.token, a_day(2))
    with migrated.connect() as first, migrated.connect() as second:

        def another(what: str, done: int, of: int) -> None:
            with pytest.raises(RebuildFailed, match="another rebuild"):
                rebuild_read_model(second)

        rebuild_read_model(first, progress=another)
        assert rebuild_read_model(second).rows == 0


def test_what_reaches_back_before_what_retention_dropped_is_left_as_it_is(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    day = NOON - timedelta(days=5)
    ledger.write_spans(
        migrated.token,
        [
            span_row(1, "sent", at=day, task_id="gone", task_name="shop.pay", sent_unix_nano=1),
            span_row(2, "sent", at=day, task_id="half", task_name="shop.pay", sent_unix_nano=1),
            span_row(3, "received", task_id="half", task_name="shop.pay", sent_unix_nano=1),
            *task_rows(4, task_id="whole"),
        ],
    )
    migrated.run(
        f"DROP TABLE celerytrail.spans_{day:%Y%m%d};"
        "UPDATE celerytrail.horizon SET retained_from = current_date - 3;"
        "UPDATE celerytrail.tasks SET state = 'sent' WHERE task_id = 'whole'"
    )
    with migrated.connect() as connection:
        done = rebuild_read_model(connection)
    assert {table: rows for table, rows in done.differing.items() if rows} == {"tasks": 1}
    assert migrated.rows("SELECT task_id, state FROM celerytrail.tasks ORDER BY 1") == [
        ("gone", "sent"),
        ("half", "received"),
        ("whole", "succeeded"),
    ]


def test_retention_meanwhile_is_said_and_the_next_one_begins_anew(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ledger.write_spans(migrated.token, a_day(2))
    dropped = []

    def drop(what: str, done: int, of: int) -> None:
        if not dropped:
            dropped.append(what)
            migrated.run("UPDATE celerytrail.horizon SET retained_from = current_date - 3")

    with migrated.connect() as connection:
        with pytest.raises(RebuildFailed, match="retention dropped days"):
            rebuild_read_model(connection, progress=drop)
        again = rebuild_read_model(connection)
    assert (again.resumed, again.spans, again.rows) == (False, 8, 0)


@pytest.mark.parametrize("role", ["sink", "actions", "grafana", "verifier", "maintainer"])
def test_nobody_who_logs_in_may_rebuild(migrated: MigratedDatabase, role: str) -> None:
    with migrated.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        rebuild_read_model(connection)
    functions = migrated.rows(
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'celerytrail'::regnamespace"
        " AND p.proname ~ 'rebuild' AND has_function_privilege(%s, p.oid, 'EXECUTE')",
        f"celerytrail_{role}",
    )
    assert functions == []
