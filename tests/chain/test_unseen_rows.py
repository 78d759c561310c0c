"""Rows that no index leads to, of no batch, or where a query by day does not look, with a catalog that is as ever."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.verification import Fault
from tests.chain.chained_ledger import TODAY, ChainedLedger
from tests.span_rows import NOON, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

DAY = TODAY.replace("-", "")
FORGED = (
    "CREATE TEMP TABLE forged ON COMMIT DROP AS"
    " SELECT * FROM celerytrail.spans WHERE seq = 6;;"
    "UPDATE forged SET event_id = 'ffffffff-ffff-4fff-8fff-ffffffffffff', worker = 'mallory'{};;"
    "INSERT INTO celerytrail.spans SELECT * FROM forged"
)
ACTION = (
    "CREATE TEMP TABLE forged ON COMMIT DROP AS SELECT * FROM celerytrail.actions;;"
    "UPDATE forged SET action_id = gen_random_uuid(), actor = 'mallory';;"
    "INSERT INTO celerytrail.actions SELECT * FROM forged"
)
HIDDEN = (
    "UPDATE pg_index SET indisready = {on}, indisvalid = {on}"
    " WHERE indexrelid = 'celerytrail.{name}'::regclass"
)


def tampered_without(chained: ChainedLedger, index: str, statements: str) -> None:
    """Do something that an index is not told, and leave the index as it was otherwise."""
    chained.database.run(HIDDEN.format(on="false", name=index))
    chained.tamper(statements)
    chained.database.run(HIDDEN.format(on="true", name=index))


def found(chained: ChainedLedger) -> list[tuple[Fault, int | None, int | None, str]]:
    result = chained.verify()
    assert result.catalog == ()
    return [(bad.fault, bad.n, bad.batch_id, bad.detail) for bad in result.bad]


@pytest.fixture
def by_index(migrated: MigratedDatabase, chained: ChainedLedger) -> ChainedLedger:
    """A ledger whose tables are read by their indexes, as large ones are."""
    migrated.run(
        f"ALTER DATABASE {migrated.name} SET enable_seqscan = off;"
        f"ALTER DATABASE {migrated.name} SET enable_bitmapscan = off"
    )
    return chained


def test_a_row_in_an_old_batch_that_the_index_of_batches_does_not_have(by_index: ChainedLedger):
    tampered_without(by_index, f"spans_{DAY}_batch_id_idx", FORGED.format(""))
    text = "5 rows of 4; an index does not lead to each of them"
    assert found(by_index) == [(Fault.ROW_ADDED, 2, 2, text)]


def test_a_row_in_a_new_batch_that_the_index_of_batches_does_not_have(by_index: ChainedLedger):
    tampered_without(by_index, f"spans_{DAY}_batch_id_idx", FORGED.format(", batch_id = 4711"))
    assert found(by_index) == [(Fault.ROW_UNBLOCKED, None, 4711, "1 rows of spans")]


def test_an_action_that_the_index_of_batches_does_not_have(by_index: ChainedLedger):
    (index,) = by_index.database.rows(
        "SELECT indexrelid::regclass::text FROM pg_index"
        " WHERE indrelid = 'celerytrail.actions'::regclass"
        " AND pg_get_indexdef(indexrelid) LIKE '%%(batch_id)'"
    )
    tampered_without(by_index, str(index[0]).removeprefix("celerytrail."), ACTION)
    text = "2 rows of 1; an index does not lead to each of them"
    assert found(by_index) == [(Fault.ROW_ADDED, 5, 5, text)]


def test_a_link_that_the_index_of_the_chain_does_not_have(by_index: ChainedLedger):
    """The rows of its block would be read by nobody."""
    by_index.tamper(
        "CREATE TEMP TABLE link ON COMMIT DROP AS SELECT * FROM celerytrail.chain WHERE n = 6;;"
        "DELETE FROM celerytrail.chain WHERE n = 6;;"
        "UPDATE pg_index SET indisready = false, indisvalid = false"
        " WHERE indexrelid = 'celerytrail.chain_pkey'::regclass;;"
        "INSERT INTO celerytrail.chain SELECT * FROM link;;"
        "UPDATE pg_index SET indisready = true, indisvalid = true"
        " WHERE indexrelid = 'celerytrail.chain_pkey'::regclass;;"
        "UPDATE celerytrail.chain_head h SET n = c.n, hash = c.hash, linked_at = c.linked_at"
        " FROM celerytrail.chain c WHERE c.n = 5;;"
        "UPDATE celerytrail.spans SET worker = 'mallory' WHERE seq = 17"
    )
    assert found(by_index) == [(Fault.HEAD, 5, None, "the table has 6 links, its index leads to 5")]


def test_a_row_of_no_batch(chained: ChainedLedger):
    null = (
        "UPDATE pg_attribute SET attnotnull = {} WHERE attname = 'batch_id'"
        " AND attrelid::regclass::text ~ '^celerytrail.spans'"
    )
    chained.database.run(null.format("false"))
    chained.tamper(FORGED.format(", batch_id = NULL"))
    chained.database.run(null.format("true"))
    assert found(chained) == [(Fault.ROW_UNBLOCKED, None, None, "1 rows of no batch")]


def test_rows_in_the_partition_of_another_day(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase
):
    """Every hash is right, and a question for their day does not find them."""
    yesterday = NOON - timedelta(days=1)
    assert ledger.write_spans(migrated.token, task_rows(21, at=yesterday)).inserted == 4
    before = yesterday.date().isoformat()
    here = f"celerytrail.spans_{DAY}"
    chained.tamper(
        f"ALTER TABLE celerytrail.spans DETACH PARTITION {here};;"
        f"CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT * FROM celerytrail.spans WHERE day = '{before}';;"
        f"DELETE FROM celerytrail.spans WHERE day = '{before}';;"
        f"CREATE TEMP TABLE checks ON COMMIT DROP AS SELECT conname, pg_get_constraintdef(oid) AS text"
        f" FROM pg_constraint WHERE conrelid = '{here}'::regclass AND contype = 'c'"
        f" AND conname = 'spans_{DAY}_time';;"
        f"ALTER TABLE {here} DROP CONSTRAINT spans_{DAY}_time;;"
        f"INSERT INTO {here} SELECT * FROM moved;;"
        f"ALTER TABLE {here} ADD CONSTRAINT cheat CHECK (day IS NOT NULL AND day = '{TODAY}') NOT VALID;;"
        "DO $$ BEGIN EXECUTE (SELECT format("
        f"'ALTER TABLE {here} ADD CONSTRAINT %I %s NOT VALID', conname, text) FROM checks); END $$;;"
        "UPDATE pg_constraint SET convalidated = true WHERE conname = 'cheat'"
        f" OR conname = 'spans_{DAY}_time';;"
        f"ALTER TABLE celerytrail.spans ATTACH PARTITION {here} FOR VALUES IN ('{TODAY}');;"
        f"ALTER TABLE {here} DROP CONSTRAINT cheat"
    )
    count = "SELECT count(*) FROM celerytrail.spans"
    assert migrated.value(f"{count} WHERE day = '{before}'") == 0
    assert migrated.value(count) == 24
    assert found(chained) == [
        (Fault.ROW_ALTERED, 7, 7, "4 rows are in the partition of another day")
    ]
