"""What ANALYZE keeps of a table are values of its rows: of user data it keeps none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.migrate import migrations
from tests.integration.erasure.erasable_ledger import (
    KINDS,
    captured,
    erased,
    found_anywhere,
    salt_of,
    store,
)
from tests.integration.sql.intents import Intents
from tests.span_rows import task_rows, with_columns

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

NAMES = ("a", "b", "c")
USER_DATA = {
    "payloads": {"body", "salt"},
    "searchable": {"excerpt"},
    "action_reasons": {"body", "salt"},
    "intents": {"request_hash"},
    "quarantine": {"item", "reason"},
}
"""Every column whose values an erasure removes."""


def fill(database: MigratedDatabase, ledger: Ledger) -> list[str | bytes]:
    """User data of three tasks in every place that holds any; returns what to look for."""
    store(ledger, database, *(captured(name, 1 + 10 * at) for at, name in enumerate(NAMES)))
    with database.connect("actions") as connection:
        for name in NAMES:
            Intents(connection).begin(
                target=json.dumps({"task_id": name}),
                target_key=f"task/{name}/0",
                reason=f"canary-reason-{name}",
                idempotency_key=name,
                request_hash=f"canary-hash-{name}".encode(),
            )
    for at, name in enumerate(NAMES):
        row = task_rows(1 + 10 * at, task_id=name)[0]
        item = with_columns(row, attributes=json.dumps({"said": f"canary-item-{name}"}))
        assert ledger.write_spans(database.token, [item]).equivocations == 1
    words: list[str | bytes] = [
        f"canary-{what}-{name}" for what in (*KINDS, "reason", "hash", "item") for name in NAMES
    ]
    return words + [salt_of(kind, name) for kind in KINDS for name in NAMES]


def test_nothing_that_can_be_erased_is_in_them(migrated: MigratedDatabase, ledger: Ledger) -> None:
    words = fill(migrated, ledger)
    migrated.run("ANALYZE")
    for word in words:
        places = found_anywhere(migrated, word)
        assert places, word
        assert "pg_statistic" not in places, word
    # They are there for what is compared.
    assert "pg_statistic" in found_anywhere(migrated, NAMES[0])
    erased(migrated, *(argument for name in NAMES for argument in ("--task", name)))
    for word in words:
        assert found_anywhere(migrated, word) == set(), word


def test_a_new_day_keeps_none_either(migrated: MigratedDatabase) -> None:
    migrated.rows("SELECT celerytrail.ensure_partitions(current_date - 9, current_date - 9)")
    found: dict[str, set[str]] = {}
    for table, column in migrated.rows(
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'celerytrail'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND a.attnum > 0 AND a.attstattarget = 0"
    ):
        found.setdefault(table, set()).add(column)
    days = migrated.rows(
        "SELECT tableoid FROM pg_inherits WHERE inhparent = 'celerytrail.payloads'::regclass"
    )
    assert len(days) > 5
    assert {
        table: columns for table, columns in found.items() if "payloads_" not in table
    } == USER_DATA
    partitions = [columns for table, columns in found.items() if "payloads_" in table]
    assert partitions == [USER_DATA["payloads"]] * len(days)


def test_the_migration_removes_what_was_kept_before(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    words = fill(migrated, ledger)
    for table, columns in USER_DATA.items():
        for column in columns:
            migrated.run(f"ALTER TABLE celerytrail.{table} ALTER COLUMN {column} SET STATISTICS -1")
    migrated.run("ANALYZE")
    kept = [word for word in words if "pg_statistic" in found_anywhere(migrated, word)]
    assert len(kept) > len(words) / 2
    (text,) = [step.text for step in migrations() if step.id == 157]
    with migrated.connect() as connection, connection.transaction():
        connection.execute(text.encode())
    assert [word for word in kept if "pg_statistic" in found_anywhere(migrated, word)] == []
