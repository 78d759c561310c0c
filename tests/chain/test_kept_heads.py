"""What no table can show, a head kept outside does: a cut tail, a complete rewrite, another ledger."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.head_file import Head
from celerytrail.sql.verification import Fault, Verdict
from tests.chain.chained_ledger import ChainedLedger, append_action, write_batch

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

CUT = ";;".join(
    [
        (
            "CREATE TEMP TABLE gone ON COMMIT DROP AS"
            " SELECT batch_id FROM celerytrail.chain WHERE n > 4"
        ),
        *(
            f"DELETE FROM celerytrail.{table} WHERE batch_id IN (SELECT batch_id FROM gone)"
            for table in ("spans", "actions", "leaf_groups", "blocks", "chain")
        ),
        (
            "UPDATE celerytrail.chain_head h SET n = c.n, hash = c.hash, linked_at = c.linked_at"
            " FROM celerytrail.chain c WHERE c.n = 4"
        ),
    ]
)

REWRITE = """
UPDATE celerytrail.leaf_groups g SET leaves = l.leaves, root = sha256('\\x01'::bytea || l.leaves)
FROM (
    SELECT batch_id, day, string_agg(leaf, ''::bytea ORDER BY row_id) AS leaves
    FROM celerytrail.stored_leaves GROUP BY batch_id, day
) l WHERE l.batch_id = g.batch_id AND l.day = g.day;;
UPDATE celerytrail.blocks b SET roots = ARRAY(
    SELECT g.root FROM celerytrail.leaf_groups g WHERE g.batch_id = b.batch_id ORDER BY g.day
);;
UPDATE celerytrail.blocks b SET body_hash = (
    SELECT y.body_hash FROM celerytrail.block_body(b.batch_id, b.cnt, b.days, b.cnts, b.roots) y
);;
DO $$
DECLARE one record; before bytea; now bytea; BEGIN
    SELECT prev INTO before FROM celerytrail.chain WHERE n = 1;
    FOR one IN SELECT * FROM celerytrail.chain JOIN celerytrail.blocks b USING (batch_id) ORDER BY n LOOP
        now := sha256('\\x03'::bytea || uuid_send((SELECT ledger_id FROM celerytrail.ledger))
            || int2send(one.format_version) || int2send(one.kind) || int4send(0) || int8send(one.n)
            || before || one.body_hash || timestamptz_send(one.sealed_at)
            || timestamptz_send(one.linked_at) || int4send(octet_length(one.sealed_by))
            || convert_to(one.sealed_by, 'UTF8'));
        UPDATE celerytrail.chain SET prev = before, hash = now WHERE n = one.n;
        before := now;
    END LOOP;
    UPDATE celerytrail.chain_head SET hash = before;
END $$
"""


def test_a_cut_tail_is_clean_inside_and_broken_against_the_kept_head(chained: ChainedLedger):
    kept = chained.verify().heads
    chained.tamper(CUT)
    assert chained.verify().verdict is Verdict.INTERNAL
    found = chained.verify(against=kept)
    assert found.verdict is Verdict.BROKEN
    assert [(bad.fault, bad.n) for bad in found.bad] == [(Fault.OFF_CHAIN, 6)]
    assert "ends at n 4" in found.bad[0].detail
    assert chained.verify(since=kept).bad == found.bad


@pytest.mark.parametrize("n", [1, 3, 6])
def test_a_rewrite_is_clean_inside_and_broken_against_the_kept_head(chained: ChainedLedger, n: int):
    kept = chained.verify().heads
    row = chained.row(n, 1)
    chained.tamper(f"UPDATE celerytrail.spans SET worker = 'x' WHERE event_id = '{row}';;{REWRITE}")
    assert chained.verify().verdict is Verdict.INTERNAL
    found = chained.verify(against=kept)
    assert [(bad.fault, bad.n) for bad in found.bad] == [(Fault.OFF_CHAIN, 6)]


def test_a_count_that_does_not_add_up_is_found_even_where_it_was_hashed_again(
    chained: ChainedLedger,
):
    batch = "(SELECT batch_id FROM celerytrail.chain WHERE n = 2)"
    chained.tamper(f"UPDATE celerytrail.blocks SET cnt = 3 WHERE batch_id = {batch};;{REWRITE}")
    assert [(bad.fault, bad.n) for bad in chained.verify().bad] == [(Fault.BODY, 2)]


def test_a_rewrite_that_changes_nothing_is_no_rewrite(chained: ChainedLedger):
    kept = chained.verify().heads
    chained.tamper(REWRITE)
    assert chained.verify(against=kept).verdict is Verdict.CLEAN


def test_a_longer_chain_is_clean_against_an_older_head(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase
):
    kept = chained.verify().heads
    write_batch(ledger, migrated, 21)
    found = chained.verify(against=kept)
    assert (found.verdict, found.heads.of(0).n) == (Verdict.CLEAN, 7)


def test_only_what_came_after_the_kept_head_is_read(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase
):
    kept = chained.verify().heads
    write_batch(ledger, migrated, 21)
    append_action(migrated)
    old, new = chained.row(2, 1), chained.row(7, 1)
    found = chained.verify(since=kept)
    assert found.verdict is Verdict.CLEAN
    assert [(one.blocks, one.rows) for one in found.readings] == [(2, 5), (2, 5)]
    chained.tamper(f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id IN ('{old}', '{new}')")
    bad = chained.verify(since=kept).bad
    assert [(item.fault, item.n, item.row_id) for item in bad] == [(Fault.ROW_ALTERED, 7, new)]


@pytest.mark.parametrize("more", [0, 1])
def test_a_row_slipped_in_after_the_kept_head_is_found(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase, more: int
):
    kept = chained.verify().heads
    for number in range(more):
        write_batch(ledger, migrated, 21 + 4 * number)
    chained.tamper(
        "CREATE TEMP TABLE forged ON COMMIT DROP AS SELECT * FROM celerytrail.spans LIMIT 1;;"
        "UPDATE forged SET event_id = gen_random_uuid(), batch_id ="
        " (SELECT max(batch_id) + 1 FROM celerytrail.chain);;"
        "INSERT INTO celerytrail.spans SELECT * FROM forged"
    )
    assert [bad.fault for bad in chained.verify(since=kept).bad] == [Fault.ROW_UNBLOCKED]


def test_a_ledger_with_another_id_is_not_the_one_that_was_kept(chained: ChainedLedger):
    kept = replace(chained.verify().heads, ledger_id=uuid.uuid4())
    assert [bad.fault for bad in chained.verify(against=kept).bad] == [Fault.OTHER_LEDGER]


def test_a_chain_that_was_there_and_is_gone_is_missed(chained: ChainedLedger):
    kept = chained.verify().heads
    kept = replace(kept, chains=(*kept.chains, Head(7, 3, bytes(32))))
    bad = chained.verify(against=kept).bad
    assert [(item.fault, item.chain, item.n) for item in bad] == [(Fault.OFF_CHAIN, 7, 3)]


def test_an_empty_ledger_is_consistent_and_its_head_can_be_kept(
    migrated: MigratedDatabase, ledger: Ledger
):
    empty = ChainedLedger(migrated, "")
    result = empty.verify()
    assert (result.verdict, result.heads.of(0).n) == (Verdict.INTERNAL, 0)
    write_batch(ledger, migrated, 1)
    assert empty.verify(since=result.heads).verdict is Verdict.INTERNAL
    assert empty.verify(against=result.heads).verdict is Verdict.INTERNAL
    assert empty.verify(against=empty.verify().heads).verdict is Verdict.CLEAN
