"""What is allowed to happen to a ledger never looks like tampering."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.exporter.attributes import SPAN_COLUMNS
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.verification import DroppedDay, Fault, Verdict
from celerytrail.sql.verify import verify_ledger
from tests.chain.chained_ledger import (
    ChainedLedger,
    append_action,
    with_options,
    write_batch,
)
from tests.span_rows import NOON, payload_row, span_row, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

ODD_SETTINGS = {
    "TimeZone": "Asia/Kolkata",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-3",
    "bytea_output": "escape",
    "search_path": "public",
    "statement_timeout": "60s",
}
NAMES = ", ".join(column.name for column in SPAN_COLUMNS)
INSERT = f"INSERT INTO celerytrail.spans ({NAMES}) VALUES ({', '.join(['%s'] * len(SPAN_COLUMNS))})"


def clean(chained: ChainedLedger, **options: object) -> bool:
    found = chained.verify(**options)
    assert found.bad == ()
    return found.verdict is not Verdict.BROKEN


def test_settings_of_the_session_that_writes_or_verifies(
    migrated: MigratedDatabase, chained: ChainedLedger
):
    odd = Ledger(with_options(migrated.dsn("sink"), **ODD_SETTINGS), timeout_seconds=20)
    odd.open()
    try:
        write_batch(odd, migrated, 21)
    finally:
        odd.close()
    assert clean(chained)
    found = verify_ledger(with_options(migrated.dsn("verifier"), **ODD_SETTINGS))
    assert (found.verdict, found.heads.of(0).n) == (Verdict.INTERNAL, 7)


def test_a_verifier_that_asks_for_another_encoding_still_compares_utf8(
    migrated: MigratedDatabase, chained: ChainedLedger
):
    found = verify_ledger(with_options(migrated.dsn("verifier"), client_encoding="LATIN1"))
    assert found.verdict is Verdict.INTERNAL
    with (
        psycopg.connect(with_options(migrated.dsn("verifier")), client_encoding="latin1") as asked,
        pytest.raises(psycopg.Error, match="client_encoding must be UTF8"),
    ):
        asked.execute("SELECT * FROM celerytrail.verify_chain(0)")


def test_batches_that_come_again(
    ledger: Ledger, migrated: MigratedDatabase, chained: ChainedLedger
):
    attributes = json.dumps({"celery.stamps": {"order": {"items": [1, 2, 3]}}, "zoë": "é"})
    again = task_rows(1, attributes=attributes) + task_rows(17, attributes=attributes)
    written = ledger.write_spans(migrated.token, again)
    assert (written.inserted, written.known) == (0, 8)
    written = ledger.write_spans(migrated.token, [*again, span_row(21, "sent")])
    assert written.inserted == 1
    assert clean(chained)
    assert migrated.value("SELECT n FROM celerytrail.chain_head") == 7


def test_events_on_both_sides_of_midnight(
    ledger: Ledger, migrated: MigratedDatabase, chained: ChainedLedger
):
    midnight = NOON.replace(hour=0, minute=0, second=0)
    rows = [
        span_row(20 + number, "sent", at=midnight + timedelta(microseconds=offset))
        for number, offset in enumerate((-2, -1, 0, 1), 1)
    ]
    assert ledger.write_spans(migrated.token, rows).inserted == 4
    (days,) = migrated.rows(
        "SELECT b.days FROM celerytrail.blocks b ORDER BY batch_id DESC LIMIT 1"
    )
    assert len(days[0]) == 2
    assert clean(chained)
    row = chained.row(7, 2)
    chained.tamper(f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id = '{row}'")
    bad = chained.verify().bad[0]
    assert (bad.row_id, bad.position, bad.day) == (row, 2, str(days[0][0]))


def test_clocks_that_are_impossible(migrated: MigratedDatabase, chained: ChainedLedger):
    with migrated.connect(autocommit=False) as connection:
        connection.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        for number, day in enumerate(("-infinity", "infinity", "-infinity")):
            at = NOON + timedelta(days=-9000 if day.startswith("-") else 9000)
            row = span_row(50 + number, "sent", at=at, day=day)
            connection.execute(INSERT.encode(), row)
    assert clean(chained)
    row = chained.row(8, 1)
    chained.tamper(f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id = '{row}'")
    bad = chained.verify().bad[0]
    assert (bad.row_id, bad.day) == (row, "infinity")


def test_transactions_and_savepoints_that_are_rolled_back(
    migrated: MigratedDatabase, chained: ChainedLedger
):
    with migrated.connect() as connection:
        connection.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        with connection.transaction(force_rollback=True):
            connection.execute(INSERT.encode(), span_row(60, "sent"))
        with connection.transaction():
            connection.execute(INSERT.encode(), span_row(61, "sent"))
            with connection.transaction(force_rollback=True):
                connection.execute(INSERT.encode(), span_row(62, "sent"))
            connection.execute(INSERT.encode(), span_row(63, "sent"))
        connection.execute(INSERT.encode(), span_row(64, "sent"))
    assert clean(chained)
    assert chained.verify().heads.of(0).n == 9


def test_blocks_that_commit_in_another_order_than_they_began(
    migrated: MigratedDatabase, chained: ChainedLedger
):
    kept = chained.verify().heads
    with migrated.connect(autocommit=False) as first, migrated.connect(autocommit=False) as second:
        for connection, seq in ((first, 70), (second, 71)):
            connection.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
            connection.execute(INSERT.encode(), span_row(seq, "sent"))
        second.commit()
        assert clean(chained, since=kept)
        first.commit()
    assert clean(chained, since=kept)
    order = migrated.rows("SELECT batch_id FROM celerytrail.chain WHERE n > 6 ORDER BY n")
    assert order == sorted(order, reverse=True)


def test_more_than_one_chain(migrated: MigratedDatabase, ledger: Ledger, chained: ChainedLedger):
    kept = chained.verify().heads
    migrated.run(
        "INSERT INTO celerytrail.chain_head (chain, n, hash, linked_at)"
        " SELECT 1, 0, sha256('celerytrail/genesis/v1'::bytea || '\\x00' || uuid_send(ledger_id)"
        " || int4send(1)), created_at FROM celerytrail.ledger"
    )
    other = Deployment("acme", "blog", "test")
    token = migrated.new_token(other, "blog")
    migrated.run("UPDATE celerytrail.principals SET chain = 1 WHERE name = 'blog'")
    rows = task_rows(1, stream=uuid.uuid4(), deployment=other)
    assert ledger.write_spans(token, rows).inserted == 4
    found = chained.verify()
    assert [(head.chain, head.n) for head in found.heads.chains] == [(0, 6), (1, 1)]
    newer = chained.verify(since=kept)
    assert (newer.verdict, newer.unanchored) == (Verdict.INTERNAL, (1,))
    assert chained.verify(since=newer.heads).verdict is Verdict.CLEAN
    chained.tamper("UPDATE celerytrail.spans SET pid = 1 WHERE service = 'blog' AND seq = 2")
    (bad,) = chained.verify().bad
    assert (bad.fault, bad.chain, bad.n, bad.position) == (Fault.ROW_ALTERED, 1, 1, 2)
    assert chained.verify(chain=0).bad == ()
    assert chained.verify(chain=1).bad == (bad,)


def test_a_day_that_retention_dropped_and_said_so(
    migrated: MigratedDatabase, ledger: Ledger, chained: ChainedLedger
):
    yesterday = NOON - timedelta(days=1)
    day = yesterday.date().isoformat()
    assert ledger.write_spans(migrated.token, task_rows(21, at=yesterday)).inserted == 4
    suffix = day.replace("-", "")
    append_action(migrated, "retention", phase="done", target=json.dumps({"day": day}))
    tables = f"celerytrail.spans_{suffix}, celerytrail.leaf_groups_{suffix}"
    migrated.run(f"DROP TABLE {tables}, celerytrail.payloads_{suffix}")
    found = chained.verify()
    assert found.verdict is Verdict.INTERNAL
    assert found.readings[0].dropped == (DroppedDay(day, 1, 4, "ann"),)
    assert [reading.rows for reading in found.readings] == [22, 22]


def test_a_day_cannot_be_filled_after_it_was_dropped(
    migrated: MigratedDatabase, ledger: Ledger, chained: ChainedLedger
):
    yesterday = NOON - timedelta(days=1)
    day = yesterday.date().isoformat()
    # The action comes first: the blocks after it cannot hide behind it.
    append_action(migrated, "retention", phase="done", target=json.dumps({"day": day}))
    assert ledger.write_spans(migrated.token, task_rows(21, at=yesterday)).inserted == 4
    assert clean(chained)
    suffix = day.replace("-", "")
    chained.tamper(
        f"TRUNCATE celerytrail.spans_{suffix};;TRUNCATE celerytrail.leaf_groups_{suffix}"
    )
    found = chained.verify()
    assert [(bad.fault, bad.n) for bad in found.bad] == [
        (Fault.LEAVES_MISSING, 8),
        (Fault.ROW_MISSING, 8),
    ]
    assert found.readings[0].dropped == ()


@pytest.mark.parametrize("jobs", [1, 3])
def test_windows_and_processes_read_what_one_pass_reads(
    monkeypatch: pytest.MonkeyPatch, chained: ChainedLedger, jobs: int
):
    whole = chained.verify()
    monkeypatch.setattr("celerytrail.sql.outside_verifier.WINDOW_ROWS", 5)
    monkeypatch.setattr("celerytrail.sql.database_range.RANGE_ROWS", 40)
    seen: dict[str, list[tuple[int, int]]] = {"sql": [], "outside": []}
    split = chained.verify(
        jobs=jobs, progress=lambda way: lambda done, total: seen[way].append((done, total))
    )
    assert (split.bad, split.heads.chains) == ((), whole.heads.chains)
    for shown in seen.values():
        assert len(shown) > 1
        assert shown[-1] == (21, 21)
    row = chained.row(6, 2)
    chained.tamper(
        "UPDATE celerytrail.chain SET linked_at = linked_at - interval '1 h' WHERE n = 4;;"
        f"DELETE FROM celerytrail.spans WHERE event_id = '{row}'"
    )
    assert [bad.n for bad in chained.verify(jobs=jobs).bad] == [4, 4, 6]


def test_erased_payloads(migrated: MigratedDatabase, ledger: Ledger, chained: ChainedLedger):
    item = payload_row("t-1", "args", b"[1]")
    assert ledger.write_payloads(migrated.token, [item]).inserted == 1
    kept = chained.verify().heads
    chained.tamper("DELETE FROM celerytrail.payloads")
    assert chained.verify(against=kept).verdict is Verdict.CLEAN
