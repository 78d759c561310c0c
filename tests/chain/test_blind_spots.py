"""Forgeries that are consistent in themselves: places, days, chains and shapes a verifier may forget to look at."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.head_file import Head
from celerytrail.sql.verification import Fault, Verdict
from tests.chain.chained_ledger import TODAY, ChainedLedger, append_action, write_batch
from tests.span_rows import NOON, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

YESTERDAY = NOON - timedelta(days=1)
DAY = YESTERDAY.date().isoformat()
SUFFIX = DAY.replace("-", "")
DROP = (
    f"DROP TABLE celerytrail.spans_{SUFFIX}, celerytrail.leaf_groups_{SUFFIX},"
    f" celerytrail.payloads_{SUFFIX}"
)
FORGED_BATCH = f"""
CREATE TEMP TABLE forged ON COMMIT DROP AS SELECT * FROM celerytrail.spans WHERE seq = 1;;
UPDATE forged SET event_id = 'ffffffff-ffff-4fff-8fff-ffffffffffff', batch_id = 900;;
INSERT INTO celerytrail.spans SELECT * FROM forged;;
INSERT INTO celerytrail.leaf_groups
SELECT 900, day, 1, sha256('\\x01'::bytea || leaf), leaf
FROM celerytrail.stored_leaves WHERE batch_id = 900;;
INSERT INTO celerytrail.blocks
SELECT 900, {{chain}}, 1, 1, 1, ARRAY[g.day], ARRAY[1], ARRAY[g.root],
    sha256('\\x02'::bytea || int8send(900) || int4send(1) || date_send(g.day) || int4send(1) || g.root),
    'x', '{TODAY}'
FROM celerytrail.leaf_groups g WHERE g.batch_id = 900
"""
FORGED_CHAIN = (
    FORGED_BATCH.format(chain=5)
    + """;;
CREATE TEMP TABLE link ON COMMIT DROP AS
SELECT genesis, linked_at, sha256('\\x03'::bytea || uuid_send(l.ledger_id) || int2send(1::int2)
    || int2send(1::int2) || int4send(5) || int8send(1) || genesis || b.body_hash
    || timestamptz_send(b.sealed_at) || timestamptz_send(linked_at) || int4send(1)
    || convert_to('x', 'UTF8')) AS hash
FROM celerytrail.ledger l
JOIN celerytrail.blocks b ON b.batch_id = 900
CROSS JOIN LATERAL (SELECT sha256('celerytrail/genesis/v1'::bytea || '\\x00'::bytea
    || uuid_send(l.ledger_id) || int4send(5)), b.sealed_at) AS g (genesis, linked_at);;
INSERT INTO celerytrail.chain SELECT 5, 1, 900, genesis, hash, linked_at FROM link;;
INSERT INTO celerytrail.chain_head SELECT 5, 1, hash, linked_at FROM link
"""
)


def told(chained: ChainedLedger, **options: object) -> list[tuple[Fault, int | None]]:
    """What both ways say, and nothing of the catalog."""
    return [(bad.fault, bad.n) for bad in chained.verify(**options).readings[0].bad]


def announce(database: MigratedDatabase, day: str, phase: str = "done") -> None:
    append_action(database, "retention", phase=phase, target=json.dumps({"day": day}))


def write_yesterday(ledger: Ledger, database: MigratedDatabase, first_seq: int) -> None:
    written = ledger.write_spans(database.token, task_rows(first_seq, at=YESTERDAY))
    assert written.inserted == 4


@pytest.mark.parametrize("n", [0, -1, -(2**63)])
def test_a_link_before_the_first_is_no_link(chained: ChainedLedger, n: int):
    kept = chained.verify().heads
    chained.database.run("ALTER TABLE celerytrail.chain DROP CONSTRAINT IF EXISTS chain_n_check")
    chained.tamper(
        FORGED_BATCH.format(chain=0) + ";;INSERT INTO celerytrail.chain VALUES"
        f" (0, {n}, 900, sha256('x'), sha256('y'), now())"
    )
    expected = [(Fault.BEFORE_FIRST, n), (Fault.BLOCK_UNLINKED, None)]
    for options in ({}, {"against": kept}, {"since": kept}):
        assert told(chained, **options) == expected


def test_a_column_that_no_version_names_is_a_difference(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase
):
    migrated.run("ALTER TABLE celerytrail.spans ADD COLUMN aside text DEFAULT 'unseen'")
    assert told(chained) == []
    write_batch(ledger, migrated, 21)
    assert {*told(chained)} == {(Fault.ROW_ALTERED, 7)}


def test_a_row_that_claims_the_batch_of_another_statement_is_refused(
    chained: ChainedLedger, migrated: MigratedDatabase
):
    with migrated.connect() as connection:
        connection.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        connection.execute("CREATE TEMP TABLE copied AS SELECT * FROM celerytrail.spans LIMIT 1")
        connection.execute("UPDATE copied SET event_id = gen_random_uuid()")
        with pytest.raises(Exception, match="1 rows have a batch or a principal of another"):
            connection.execute("INSERT INTO celerytrail.spans SELECT * FROM copied")
    assert told(chained) == []


def test_the_table_refuses_a_link_before_the_first(chained: ChainedLedger):
    with pytest.raises(Exception, match="chain_n_check"):
        chained.tamper(
            "INSERT INTO celerytrail.chain VALUES (0, 0, 900, sha256('x'), sha256('y'), now())"
        )


def test_a_block_linked_by_another_chain_has_no_link(chained: ChainedLedger):
    chained.tamper(
        FORGED_BATCH.format(chain=3)
        + ";;INSERT INTO celerytrail.chain VALUES (0, 7, 900, sha256('x'), sha256('y'), now())"
    )
    assert (Fault.BLOCK_UNLINKED, None) in told(chained)


@pytest.mark.parametrize("phase", ["intent", "refused"])
def test_what_was_only_intended_drops_nothing(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase, phase: str
):
    write_yesterday(ledger, migrated, 21)
    announce(migrated, DAY, phase)
    chained.tamper(DROP)
    assert told(chained) == [(Fault.LEAVES_MISSING, 7), (Fault.ROW_MISSING, 7)]


@pytest.mark.parametrize("day", ["today", "tomorrow", "infinity", "2026-02-31"])
def test_a_day_that_has_not_ended_or_is_none_cannot_be_dropped(
    chained: ChainedLedger, migrated: MigratedDatabase, day: str
):
    ahead = {"today": 0, "tomorrow": 1}.get(day)
    if ahead is not None:
        day = (datetime.now(timezone.utc) + timedelta(days=ahead)).date().isoformat()
    announce(migrated, day)
    assert told(chained) == []
    chained.tamper(
        "DELETE FROM celerytrail.spans s USING celerytrail.chain c"
        " WHERE c.n = 2 AND c.batch_id = s.batch_id;;"
        "DELETE FROM celerytrail.leaf_groups g USING celerytrail.chain c"
        " WHERE c.n = 2 AND c.batch_id = g.batch_id"
    )
    assert told(chained) == [(Fault.LEAVES_MISSING, 2), (Fault.ROW_MISSING, 2)]


def test_an_announcement_that_cannot_be_read_stops_no_verifier(
    chained: ChainedLedger, migrated: MigratedDatabase
):
    for target in ('{"day": "2025-13-99"}', '{"day": "\\u0000"}', '["day"]', "7"):
        append_action(migrated, "retention", phase="done", target=target)
    assert told(chained) == []


def test_a_day_is_dropped_entirely_or_not_at_all(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase
):
    write_yesterday(ledger, migrated, 21)
    write_yesterday(ledger, migrated, 25)
    announce(migrated, DAY)
    batch = "(SELECT batch_id FROM celerytrail.chain WHERE n = 7)"
    chained.tamper(
        f"DELETE FROM celerytrail.spans WHERE batch_id = {batch};;"
        f"DELETE FROM celerytrail.leaf_groups WHERE batch_id = {batch}"
    )
    found = chained.verify()
    (bad,) = found.bad
    assert (bad.fault, bad.n, bad.day) == (Fault.PARTLY_DROPPED, 8, DAY)
    assert [(day.day, day.groups) for day in found.readings[0].dropped] == [(DAY, 1)]


@pytest.mark.parametrize("table", ["spans", "leaf_groups"])
def test_rows_and_leaves_of_a_day_go_together(
    chained: ChainedLedger, ledger: Ledger, migrated: MigratedDatabase, table: str
):
    write_yesterday(ledger, migrated, 21)
    announce(migrated, DAY)
    chained.tamper(f"DROP TABLE celerytrail.{table}_{SUFFIX}")
    assert told(chained) == [(Fault.PARTLY_DROPPED, 7)]
    assert chained.verify().readings[0].dropped == ()


@pytest.mark.parametrize("dropped", [True, False])
def test_actions_of_a_dropped_day_stay(
    chained: ChainedLedger, migrated: MigratedDatabase, dropped: bool
):
    # An action of yesterday: as if the clock of this ledger had been a day behind.
    migrated.run("SELECT celerytrail.ensure_partitions(current_date - 2, current_date)")
    with migrated.connect() as connection:
        connection.execute(
            "INSERT INTO celerytrail.actions (action_id, action_time, phase, verb, actor, actor_kind,"
            " recorded_by) VALUES (gen_random_uuid(), %s, 'intent', 'purge', 'ann', 'user', 'x')",
            [YESTERDAY],
        )
    if dropped:
        announce(migrated, DAY)
        chained.tamper(DROP)
        assert told(chained) == []
        assert chained.verify().readings[0].dropped == ()
    else:
        chained.tamper(DROP)
    chained.tamper("DELETE FROM celerytrail.actions WHERE verb = 'purge'")
    assert told(chained) == [(Fault.LEAVES_MISSING, 7), (Fault.ROW_MISSING, 7)]


def test_a_chain_that_claims_to_be_older_than_the_kept_head_is_forged(chained: ChainedLedger):
    kept = chained.verify().heads
    chained.tamper(FORGED_CHAIN)
    assert chained.verify().verdict is Verdict.INTERNAL
    for options in ({"against": kept}, {"since": kept}):
        found = chained.verify(**options)
        assert [(bad.fault, bad.chain, bad.n) for bad in found.bad] == [(Fault.OFF_CHAIN, 5, 1)]
    assert chained.verify(against=kept, chain=0).verdict is Verdict.CLEAN


def test_heads_of_one_chain_say_nothing_of_the_others(chained: ChainedLedger):
    chained.tamper(FORGED_CHAIN)
    kept = chained.verify(chain=0).heads
    assert (kept.complete, len(kept.chains)) == (False, 1)
    assert chained.verify(against=kept).verdict is Verdict.INTERNAL
    assert chained.verify(against=kept, chain=0).verdict is Verdict.CLEAN


@pytest.mark.parametrize("way", ["since", "against"])
def test_a_head_before_the_first_block_anchors_nothing(chained: ChainedLedger, way: str):
    heads = chained.verify().heads
    genesis = chained.database.value("SELECT prev FROM celerytrail.chain WHERE n = 1")
    early = replace(heads, chains=(Head(0, 0, bytes(genesis)),))
    found = chained.verify(**{way: early})
    assert (found.verdict, found.bad, found.verdict.exit_code) == (Verdict.INTERNAL, (), 3)


@pytest.mark.parametrize(
    "change",
    [
        "days = days || NULL::date",
        "cnts = cnts || NULL::int4",
        "roots = roots || NULL::bytea",
        "days = days || NULL::date, cnts = cnts || NULL::int4, roots = roots || NULL::bytea",
        "days = ARRAY[days]",
        "cnts = ARRAY[cnts]",
        "roots = ARRAY[roots]",
    ],
)
def test_arrays_of_another_shape_are_no_days_of_a_block(chained: ChainedLedger, change: str):
    batch = "(SELECT batch_id FROM celerytrail.chain WHERE n = 2)"
    chained.tamper(f"UPDATE celerytrail.blocks SET {change} WHERE batch_id = {batch}")
    assert told(chained) == [(Fault.BODY, 2)]
