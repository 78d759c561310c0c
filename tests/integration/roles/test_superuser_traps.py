"""What a superuser can lay in the way of inserts: the sink never says that lost rows are stored, and the guards name the object."""

from __future__ import annotations

import pytest

from celerytrail.exporter.sink.errors import LedgerRefused, LedgerUnavailable
from tests.integration.roles.ledger_database import (
    LedgerDatabase,
    payload,
    payload_in_order,
    span_rows,
    today,
)

pytest_plugins = ["tests.databases"]

NOT_STORED = (LedgerRefused, LedgerUnavailable)
"""Both are answered 503, so that the batch comes again; a refused token would be answered 401, and dropped."""

SWALLOW = (
    "CREATE FUNCTION celerytrail.swallow() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RETURN NULL; END $$;"
)
TRAPS = {
    "rule": "CREATE RULE trap AS ON INSERT TO {} DO INSTEAD NOTHING",
    "trigger": SWALLOW
    + "CREATE TRIGGER trap BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION celerytrail.swallow()",
    "policy that hides": "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY trap ON {0} USING (false) WITH CHECK (true)",
    "policy that refuses": "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY trap ON {0} USING (true) WITH CHECK (false)",
    "row security for the owner too": "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY;"
    "ALTER TABLE {0} FORCE ROW LEVEL SECURITY; CREATE POLICY trap ON {0} USING (true)",
    "triggers disabled": "ALTER TABLE {} DISABLE TRIGGER ALL",
}


def stored_spans(ledger_database: LedgerDatabase) -> int:
    return int(ledger_database.value("SELECT count(*) FROM celerytrail.spans"))


@pytest.mark.parametrize("trap", TRAPS, ids=str)
def test_a_trap_on_the_ledger(ledger_database: LedgerDatabase, trap: str) -> None:
    ledger_database.write_honest_batches(batches=1)
    before = stored_spans(ledger_database)
    ledger_database.run(TRAPS[trap].format("celerytrail.spans"))
    with ledger_database.ledger() as ledger:
        with pytest.raises(NOT_STORED):
            ledger.write_spans(ledger_database.token, span_rows(3))
        assert any("celerytrail.spans" in wrong for wrong in ledger.guards()), ledger.guards()
    assert stored_spans(ledger_database) == before


@pytest.mark.parametrize("trap", TRAPS, ids=str)
def test_a_trap_on_a_partition(ledger_database: LedgerDatabase, trap: str) -> None:
    """Rules, policies and statement triggers of a partition do nothing to what comes through the parent."""
    ledger_database.write_honest_batches(batches=1)
    before = stored_spans(ledger_database)
    partition = f"celerytrail.spans_{today():%Y%m%d}"
    ledger_database.run(TRAPS[trap].format(partition))
    with ledger_database.ledger() as ledger:
        try:
            inserted = ledger.write_spans(ledger_database.token, span_rows(3)).inserted
        except NOT_STORED:
            inserted = 0
        assert any(partition in wrong for wrong in ledger.guards()), ledger.guards()
    assert stored_spans(ledger_database) == before + inserted
    if trap == "trigger":
        assert inserted == 0


@pytest.mark.parametrize("trap", TRAPS, ids=str)
def test_a_trap_on_the_payloads(ledger_database: LedgerDatabase, trap: str) -> None:
    ledger_database.run(TRAPS[trap].format("celerytrail.payloads"))
    with ledger_database.ledger() as ledger:
        try:
            inserted = ledger.write_payloads(
                ledger_database.token, [payload_in_order(payload("task-1"))]
            ).inserted
        except NOT_STORED:
            inserted = 0
        assert any("celerytrail.payloads" in wrong for wrong in ledger.guards()), ledger.guards()
    assert ledger_database.value("SELECT count(*) FROM celerytrail.payloads") == inserted
    if trap in ("rule", "trigger", "policy that refuses"):
        assert inserted == 0


@pytest.mark.parametrize("table", ["blocks", "chain", "chain_head", "leaf_groups"])
@pytest.mark.parametrize("trap", ["rule", "trigger"])
def test_a_trap_on_the_chain(ledger_database: LedgerDatabase, table: str, trap: str) -> None:
    statement = TRAPS[trap].format(f"celerytrail.{table}")
    if table == "chain_head":
        # The head is the one row of the chain that is updated.
        statement = statement.replace("INSERT", "UPDATE")
    ledger_database.run(statement)
    with ledger_database.ledger() as ledger:
        with pytest.raises(NOT_STORED):
            ledger.write_spans(ledger_database.token, span_rows(3))
        assert any(f"celerytrail.{table}" in wrong for wrong in ledger.guards()), ledger.guards()
    assert stored_spans(ledger_database) == 0


def test_without_traps_the_guards_name_nothing(ledger_database: LedgerDatabase) -> None:
    with ledger_database.ledger() as ledger:
        assert ledger.guards() == []
