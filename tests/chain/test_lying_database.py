"""A database whose answers depend on what it is asked: the outside way believes only what it computed itself."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.catalog import catalog_differences
from celerytrail.sql.outside_verifier import verify_outside
from celerytrail.sql.verification import Fault, Verdict
from tests.chain.chained_ledger import TODAY, ChainedLedger, append_action
from tests.chain.test_kept_heads import REWRITE
from tests.span_rows import NOON, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

YESTERDAY = NOON - timedelta(days=1)
LYING = """
CREATE SCHEMA aside;
GRANT USAGE ON SCHEMA aside TO PUBLIC;
CREATE TABLE aside.before AS SELECT * FROM celerytrail.{table};
"""
IN_ITS_PLACE = """
ALTER TABLE celerytrail.{table} SET SCHEMA aside;
GRANT SELECT ON ALL TABLES IN SCHEMA aside TO PUBLIC;
CREATE VIEW celerytrail.{table} AS {query};
GRANT SELECT ON celerytrail.{table} TO PUBLIC;
"""
CHAIN = """
SELECT r.chain, r.n, r.batch_id, r.prev, CASE WHEN {when} THEN o.hash ELSE r.hash END AS hash, r.linked_at
FROM aside.chain r JOIN aside.before o USING (chain, n)
"""
ASKED_FOR_ONE = "current_query() ~ 'SELECT (w.chain|hash, linked_at)'"
ASKED_FOR_ALL = "current_query() ~ 'c.n, c.hash, c.linked_at, b.cnt'"


def outside(chained: ChainedLedger, **options: object) -> list[tuple[Fault, int | None]]:
    address = chained.database.dsn("verifier")
    found = verify_outside(address, **options).bad  # type: ignore[arg-type]
    return [(bad.fault, bad.n) for bad in found]


def rewritten(chained: ChainedLedger, when: str) -> None:
    """Write everything anew, and let the table of links answer with the old hashes now and then."""
    row = chained.row(3, 1)
    chained.database.run(LYING.format(table="chain"))
    chained.tamper(f"UPDATE celerytrail.spans SET worker = 'x' WHERE event_id = '{row}';;{REWRITE}")
    chained.database.run(IN_ITS_PLACE.format(table="chain", query=CHAIN.format(when=when)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_kept_head_that_is_there_only_when_it_is_asked_for(
    chained: ChainedLedger, monkeypatch: pytest.MonkeyPatch, jobs: int
):
    monkeypatch.setattr("celerytrail.sql.outside_verifier.WINDOW_ROWS", 5)
    kept = chained.verify().heads
    rewritten(chained, ASKED_FOR_ONE)
    assert outside(chained, jobs=jobs) == []
    assert outside(chained, against=kept, jobs=jobs) == [(Fault.OFF_CHAIN, 6)]
    assert outside(chained, noted=kept.chains, jobs=jobs) == [(Fault.OFF_CHAIN, 6)]


def test_a_head_that_no_link_leads_to_is_not_what_was_verified(chained: ChainedLedger):
    """Else a checkpointer would sign a hash of somebody's choice."""
    rewritten(chained, ASKED_FOR_ALL)
    assert (Fault.LINK, 6) in outside(chained)


def test_kept_links_that_the_database_has_only_when_it_is_asked_for_them(chained: ChainedLedger):
    kept = chained.verify().heads
    chained.database.run(
        LYING.format(table="chain")
        + IN_ITS_PLACE.format(
            table="chain",
            query=f"SELECT * FROM aside.chain WHERE n <= 4 OR {ASKED_FOR_ONE}",
        )
        + "ALTER TABLE celerytrail.chain_head DISABLE TRIGGER ALL;"
        "UPDATE celerytrail.chain_head h SET n = c.n, hash = c.hash, linked_at = c.linked_at"
        " FROM aside.chain c WHERE c.n = 4"
    )
    found = outside(chained, against=kept)
    assert (Fault.OFF_CHAIN, 6) in found


def test_a_view_of_dropped_days_is_not_asked(chained: ChainedLedger):
    chained.database.run(
        "CREATE OR REPLACE VIEW celerytrail.announced_drops WITH (security_invoker = true) AS"
        f" SELECT DATE '{TODAY}' AS day, now() AS linked_at, 'ann'::text AS actor, 0 AS chain,"
        " 99::int8 AS n"
    )
    chained.tamper(
        "DELETE FROM celerytrail.spans;;DELETE FROM celerytrail.leaf_groups g"
        " USING celerytrail.blocks b WHERE b.batch_id = g.batch_id AND b.kind = 1"
    )
    assert {*outside(chained)} == {
        (fault, n) for fault in (Fault.LEAVES_MISSING, Fault.ROW_MISSING) for n in (1, 2, 3, 4, 6)
    }


def yesterday_gone(chained: ChainedLedger, ledger: Ledger) -> str:
    """Write rows of yesterday and take them away, with their leaves; return the day."""
    database = chained.database
    assert ledger.write_spans(database.token, task_rows(21, at=YESTERDAY)).inserted == 4
    day = YESTERDAY.date().isoformat()
    chained.tamper(
        f"DELETE FROM celerytrail.spans WHERE day = '{day}';;"
        f"DELETE FROM celerytrail.leaf_groups WHERE day = '{day}'"
    )
    return day


def test_an_announcement_that_is_in_no_block(chained: ChainedLedger, ledger: Ledger):
    day = yesterday_gone(chained, ledger)
    append_action(chained.database)
    said = json.dumps({"day": day})
    lies = f"""
        SELECT a.action_id, a.intent_id, a.action_time,
            CASE WHEN asked THEN 'outcome' ELSE a.phase END AS phase,
            CASE WHEN asked THEN 'retention' ELSE a.verb END AS verb,
            a.actor, a.actor_kind, a.role, a.namespace, a.service, a.environment, a.request_id,
            CASE WHEN asked THEN '{said}'::json ELSE a.target END AS target,
            a.detail, a.reason_commitment, a.recorded_by, a.batch_id
        FROM aside.actions a, (SELECT current_query() ~ 'retention' AS asked) AS q
    """
    chained.database.run(
        LYING.format(table="actions") + IN_ITS_PLACE.format(table="actions", query=lies)
    )
    assert outside(chained) == [(Fault.ROW_MISSING, 8)]


@pytest.mark.parametrize("way", ["since", "against"])
def test_an_action_that_was_made_an_announcement_after_it_was_verified(
    chained: ChainedLedger, ledger: Ledger, way: str
):
    """What an incremental run does not read again takes nothing out of what it reads."""
    kept = chained.verify().heads
    day = yesterday_gone(chained, ledger)
    said = json.dumps({"day": day})
    chained.tamper(
        f"UPDATE celerytrail.actions SET verb = 'retention', phase = 'done', target = '{said}';;"
        "UPDATE celerytrail.chain SET linked_at = linked_at + interval '1 year' WHERE n = 5"
    )
    found = chained.verify(**{way: kept})
    assert found.verdict is Verdict.BROKEN
    if way == "since":
        assert [(bad.fault, bad.n) for bad in found.bad] == [
            (Fault.LEAVES_MISSING, 7),
            (Fault.ROW_MISSING, 7),
        ]
        assert found.readings[0].dropped == ()


def test_a_table_that_answers_with_a_query_is_named(migrated: MigratedDatabase):
    with migrated.connect(autocommit=False) as connection:
        connection.execute(
            "CREATE VIEW celerytrail.lying AS SELECT * FROM celerytrail.quarantine;"
            "SET LOCAL allow_system_table_mods = on;"
            "UPDATE pg_class SET relkind = 'r', relfilenode = oid,"
            " relam = (SELECT oid FROM pg_am WHERE amname = 'heap')"
            " WHERE oid = 'celerytrail.lying'::regclass"
        )
        found = catalog_differences(connection)
        connection.rollback()
    assert "added rule _RETURN on celerytrail.lying" in found
