"""A ledger with user data in every place that holds any, and a look for it through the whole database."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from celerytrail.exporter.attributes import PAYLOAD_KINDS
from celerytrail.exporter.commitment import commit
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.database_verifier import verify_inside
from celerytrail.sql.erase_command import erase_command
from celerytrail.sql.outside_verifier import verify_outside
from tests.span_rows import INDEX, NOON, STREAM, payload_row, task_rows, with_columns

if TYPE_CHECKING:
    from datetime import datetime

    from tests.databases import MigratedDatabase

KINDS = tuple(kind.name for kind in PAYLOAD_KINDS)
STEP_OF = {"exception": "failed", "traceback": "failed", "result": "failed"}


@dataclass(frozen=True)
class Captured:
    """A task as its spans and payloads have it."""

    task_id: str
    payloads: dict[str, tuple[Any, ...]]
    spans: list[tuple[Any, ...]]


def captured(
    task_id: str,
    first_seq: int,
    *,
    word: str = "canary",
    at: datetime = NOON,
    stream: uuid.UUID = STREAM,
    **columns: Any,
) -> Captured:
    """A task that failed, each kind of payload of which holds ``<word>-<kind>-<task_id>``."""
    payloads = {}
    by_step: dict[str, dict[str, str]] = {"sent": {}, "failed": {}}
    for kind in KINDS:
        body = json.dumps(f"{word}-{kind}-{task_id}").encode()
        salt = salt_of(kind, task_id)
        commitment = commit(kind, salt, body)
        payloads[kind] = payload_row(
            task_id, kind, body, at=at, salt=salt, commitment=commitment, stream_id=stream
        )
        by_step[STEP_OF.get(kind, "sent")][kind] = commitment.hex()
    spans = []
    for row in task_rows(first_seq, task_id=task_id, end="failed", at=at, stream=stream, **columns):
        named = by_step.get(row[INDEX["step"]])
        spans.append(row if named is None else with_columns(row, commitments=json.dumps(named)))
    return Captured(task_id, payloads, spans)


def salt_of(kind: str, task_id: str) -> bytes:
    """The salt that ``captured`` gives a payload."""
    return hashlib.sha256(f"salt of {kind} of {task_id}".encode()).digest()


def store(ledger: Ledger, database: MigratedDatabase, *tasks: Captured) -> None:
    """Write them as a shipper sends them: payloads first."""
    items = [row for task in tasks for row in task.payloads.values()]
    assert ledger.write_payloads(database.token, items).inserted == len(items)
    rows = [row for task in tasks for row in task.spans]
    assert ledger.write_spans(database.token, rows).inserted == len(rows)


def run_erase(database: MigratedDatabase, *arguments: str, role: str = "maintainer") -> Result:
    """`celerytrail erase` with --yes and --json."""
    return CliRunner().invoke(
        erase_command,
        ["--dsn", database.dsn(role), "--actor", "ann", "--yes", "--json", *arguments],
    )


def erased(database: MigratedDatabase, *arguments: str) -> dict[str, Any]:
    """What `celerytrail erase` says that it erased."""
    result = run_erase(database, *arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def kinds_of(database: MigratedDatabase, task_id: str) -> set[str]:
    """The kinds of payloads that are there of a task."""
    rows = database.rows("SELECT kind FROM celerytrail.payloads WHERE task_id = %s", task_id)
    return {kind for (kind,) in rows}


def found_anywhere(database: MigratedDatabase, needle: str | bytes) -> set[str]:
    """The tables that hold these bytes: every row of every table, as text and as hex.

    Among them what ANALYZE keeps, which are values of rows.
    """
    text = needle if isinstance(needle, str) else needle.hex()
    hexed = (needle.encode() if isinstance(needle, str) else needle).hex()
    tables = database.rows(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'"
        " UNION ALL VALUES ('pg_statistic'), ('pg_statistic_ext_data')"
    )
    assert len(tables) > 20
    with database.connect() as connection:
        return {
            table
            for (table,) in tables
            if connection.execute(
                f"SELECT FROM {table} t WHERE position(%s IN t::text) > 0"
                " OR position(%s IN t::text) > 0 LIMIT 1".encode(),
                (text, hexed),
            ).fetchall()
        }


def assert_clean(database: MigratedDatabase) -> None:
    """Both verifiers find nothing wrong."""
    assert verify_outside(database.dsn("verifier")).bad == ()
    assert verify_inside(database.dsn("verifier")).bad == ()


def phases(database: MigratedDatabase, verb: str) -> list[tuple[Any, ...]]:
    """Phase and actor of each action of a verb, in the order of the chain."""
    return database.rows(
        "SELECT a.phase, a.actor FROM celerytrail.actions a JOIN celerytrail.chain c USING (batch_id)"
        " WHERE a.verb = %s ORDER BY c.n",
        verb,
    )
