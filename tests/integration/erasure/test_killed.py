"""Erasing and dropping days by processes that are killed: the next run finishes, and the chain says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.erasure import ERASE_AT_ONCE
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


def test_a_drop_that_was_killed_while_it_waited(migrated: MigratedDatabase, ledger: Ledger) -> None:
    old = NOON - timedelta(days=4)
    store(ledger, migrated, captured("old", 1, at=old), captured("new", 11))
    announced = "SELECT count(*) FROM celerytrail.day_drops WHERE dropped_at IS NULL"
    with migrated.connect("grafana", autocommit=False) as reader:
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
