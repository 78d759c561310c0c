"""Several sessions and processes: where one of them cannot read, the ledger cannot be verified, and says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from celerytrail.sql.database_verifier import verify_inside
from celerytrail.sql.errors import SqlError
from celerytrail.sql.outside_verifier import verify_outside
from celerytrail.sql.verification import Reading
from tests.chain.chained_ledger import ChainedLedger

pytest_plugins = ["tests.databases"]


@pytest.mark.parametrize("verify", [verify_inside, verify_outside], ids=["sql", "outside"])
def test_a_session_that_cannot_be_had_is_an_error_and_no_verdict(
    chained: ChainedLedger, monkeypatch: pytest.MonkeyPatch, verify: Callable[..., Reading]
):
    monkeypatch.setattr("celerytrail.sql.outside_verifier.WINDOW_ROWS", 5)
    monkeypatch.setattr("celerytrail.sql.database_range.RANGE_ROWS", 40)
    address = chained.database.dsn("verifier")
    assert verify(address, jobs=2).bad == ()
    chained.database.run("ALTER ROLE celerytrail_verifier CONNECTION LIMIT 1")
    try:
        with pytest.raises(SqlError, match="too many connections"):
            verify(address, jobs=2)
    finally:
        chained.database.run("ALTER ROLE celerytrail_verifier CONNECTION LIMIT -1")
    assert verify(address, jobs=2).bad == ()


def test_a_fault_in_any_range_is_found_by_any_number_of_sessions(
    chained: ChainedLedger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("celerytrail.sql.outside_verifier.WINDOW_ROWS", 5)
    monkeypatch.setattr("celerytrail.sql.database_range.RANGE_ROWS", 40)
    rows = [chained.row(n, 1) for n in (1, 2, 4, 6)]
    listed = ", ".join(f"'{row}'" for row in rows)
    chained.tamper(
        f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id IN ({listed});;"
        "DELETE FROM celerytrail.chain WHERE n = 3"
    )
    found = chained.verify()
    assert {bad.n for bad in found.bad} >= {1, 2, 3, 4, 6}
    for jobs in (2, 5):
        assert chained.verify(jobs=jobs).bad == found.bad
