"""A day begins: whoever comes first makes its partitions, whatever was down before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from celerytrail.exporter.sink.ledger import Ledger
from tests.chain.chained_ledger import append_action
from tests.integration.erasure.erasable_ledger import assert_clean, captured, erased
from tests.span_rows import NOON, span_row

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

PARENTS = ("spans", "leaf_groups", "payloads")


@pytest.fixture
def nothing_ahead(migrated: MigratedDatabase) -> MigratedDatabase:
    """A database whose sinks and maintainer were down for so long that no day from today on is there."""
    (today,) = migrated.rows("SELECT (now() AT TIME ZONE 'UTC')::date")[0]
    for ahead in range(-1, 4):
        for parent in PARENTS:
            migrated.run(
                f"DROP TABLE IF EXISTS celerytrail.{parent}_{today + timedelta(days=ahead):%Y%m%d}"
            )
    return migrated


def days_there(database: MigratedDatabase) -> set[date]:
    rows = database.rows(
        "SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_class c"
        " WHERE c.relnamespace = 'celerytrail'::regnamespace AND c.relname ~ '^spans_[0-9]{8}$'"
    )
    return {day for (day,) in rows}


def test_a_sink_that_starts_on_a_new_day_makes_it_and_three_ahead(
    nothing_ahead: MigratedDatabase, ledger: Ledger
) -> None:
    assert ledger.write_spans(nothing_ahead.token, captured("task", 1).spans).inserted == 4
    made = {NOON.date() + timedelta(days=ahead) for ahead in range(4)}
    assert days_there(nothing_ahead) >= made
    assert_clean(nothing_ahead)


def test_a_batch_over_midnight_makes_both_days(
    nothing_ahead: MigratedDatabase, ledger: Ledger
) -> None:
    midnight = NOON.replace(hour=0, minute=0, second=0)
    rows = [
        span_row(number, "sent", at=midnight + timedelta(microseconds=offset))
        for number, offset in enumerate((-1, 0), 1)
    ]
    assert ledger.write_spans(nothing_ahead.token, rows).inserted == 2
    assert {NOON.date(), NOON.date() - timedelta(days=1)} <= days_there(nothing_ahead)
    assert_clean(nothing_ahead)


def test_sinks_that_all_come_first(nothing_ahead: MigratedDatabase) -> None:
    ledgers = [Ledger(nothing_ahead.dsn("sink"), timeout_seconds=60) for _ in range(6)]
    for ledger in ledgers:
        ledger.open()
    try:
        with ThreadPoolExecutor(len(ledgers)) as pool:
            written = list(
                pool.map(
                    lambda numbered: numbered[1].write_spans(
                        nothing_ahead.token, [span_row(numbered[0], "sent")]
                    ),
                    enumerate(ledgers, 1),
                )
            )
    finally:
        for ledger in ledgers:
            ledger.close()
    assert [one.inserted for one in written] == [1] * len(ledgers)
    assert_clean(nothing_ahead)


def test_an_operator_who_comes_first(nothing_ahead: MigratedDatabase) -> None:
    append_action(nothing_ahead)
    shop = ("--namespace", "acme", "--service", "shop", "--environment", "test")
    assert erased(nothing_ahead, "--task", "task", *shop)["erased"]["tasks"] == 1
    assert NOON.date() in days_there(nothing_ahead)
    assert_clean(nothing_ahead)
