"""What a batch leaves in the ledger: once, whole, in the right partition, or counted."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.errors import TokenRefused
from celerytrail.exporter.sink.written import Written
from celerytrail.sql.outside_verifier import verify_outside
from tests.span_rows import (
    INDEX,
    NOON,
    SHOP,
    STREAM,
    payload_row,
    span_row,
    task_rows,
    with_columns,
)

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

INDEX_OF_BODY = [column.name for column in PAYLOAD_COLUMNS].index("body")
INDEX_OF_SALT = [column.name for column in PAYLOAD_COLUMNS].index("salt")
BANK = Deployment("acme", "bank", "test")


def assert_clean(database: MigratedDatabase) -> None:
    assert verify_outside(database.dsn("verifier")).bad == ()


def test_the_same_batch_twice_is_stored_once(migrated: MigratedDatabase, ledger: Ledger) -> None:
    rows = task_rows()
    assert ledger.write_spans(migrated.token, rows) == Written(inserted=4)
    before = migrated.read_model()
    assert ledger.write_spans(migrated.token, rows) == Written(known=4)
    assert ledger.write_spans(migrated.token, rows + rows) == Written(known=8)
    assert migrated.value("SELECT count(*) FROM celerytrail.spans") == 4
    assert migrated.value("SELECT count(*) FROM celerytrail.blocks") == 1
    assert migrated.read_model() == before
    assert_clean(migrated)


def test_a_row_holds_every_column_as_it_was_given(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    row = task_rows(end="failed", eta=NOON, priority=3, links='[{"a":1}]', marks="text_cut")[3]
    ledger.write_spans(migrated.token, [row])
    (stored,) = migrated.rows("SELECT * FROM celerytrail.spans")
    with migrated.connect() as connection:
        names = [
            c.name for c in connection.execute("SELECT * FROM celerytrail.spans").description or ()
        ]
    assert names[: len(INDEX)] == list(INDEX)
    given = dict(zip(INDEX, row, strict=True))
    got = dict(zip(names, stored, strict=True))
    for name in ("attributes", "links", "commitments"):
        given[name] = None if given[name] is None else json.loads(given[name])
    assert {name: got[name] for name in given} == given
    assert got["batch_id"] >= 1
    assert got["principal_id"] == ledger.authenticate(migrated.token).principal_id
    assert abs(got["received_at"] - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_an_equivocation_is_counted_and_kept_apart(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    first = task_rows()
    ledger.write_spans(migrated.token, first)
    # The same event with other content, another event under the same number, and a new one.
    altered = with_columns(first[0], task_name="shop.steal")
    later = span_row(2, "received", at=NOON + timedelta(seconds=9), task_id="x")
    fresh = span_row(5, "received", task_id="y")
    written = ledger.write_spans(migrated.token, [altered, later, first[2], fresh])
    assert (written.inserted, written.known, written.equivocations) == (1, 1, 2)
    assert migrated.value("SELECT count(*) FROM celerytrail.spans") == 5
    assert migrated.value("SELECT count(*) FROM celerytrail.quarantine") == 2
    assert (
        migrated.value("SELECT count(*) FROM celerytrail.tasks WHERE task_name = 'shop.steal'") == 0
    )
    # Two contents for one number in the same batch: the first is kept.
    written = ledger.write_spans(
        migrated.token, [span_row(6, "sent", task_id="a"), span_row(6, "sent", task_id="b")]
    )
    assert (written.inserted, written.equivocations) == (1, 1)
    assert_clean(migrated)


def test_an_event_under_another_number_costs_none_of_the_others(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    first = task_rows()
    ledger.write_spans(migrated.token, first)
    moved = with_columns(first[0], seq=9)
    fresh = [span_row(seq, "received", task_id=f"t{seq}") for seq in (5, 6)]
    written = ledger.write_spans(migrated.token, [fresh[0], moved, fresh[1]])
    assert written == Written(inserted=2, equivocations=1)
    assert migrated.rows("SELECT seqs::text FROM celerytrail.streams") == [("{[1,7)}",)]
    assert migrated.value("SELECT count(*) FROM celerytrail.quarantine") == 1
    assert migrated.rows("SELECT cnt FROM celerytrail.blocks ORDER BY batch_id") == [(4,), (2,)]
    assert_clean(migrated)


def test_marks_and_day_do_not_make_an_equivocation(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ahead = span_row(1, "sent", task_id="a", marks="clock")
    ledger.write_spans(migrated.token, [ahead])
    # The same event when its time is no longer ahead.
    assert ledger.write_spans(migrated.token, [with_columns(ahead, marks=None)]) == Written(known=1)


@pytest.mark.parametrize(
    ("year", "day"), [(1970, "-infinity"), (2020, "-infinity"), (2200, "infinity")]
)
@pytest.mark.parametrize("given_by_sink", [True, False])
def test_an_impossible_clock_is_stored_once_and_marked(
    migrated: MigratedDatabase, ledger: Ledger, year: int, day: str, given_by_sink: bool
) -> None:
    at = datetime(year, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    row = span_row(1, "sent", at=at, task_id="late")
    if given_by_sink:
        row = with_columns(row, day=day, marks="clock")
    counts = [ledger.write_spans(migrated.token, [row]) for _ in range(10)]
    assert counts == [Written(inserted=1)] + 9 * [Written(known=1)]
    stored = migrated.rows(
        "SELECT event_time, day::text, marks, tableoid::regclass::text FROM celerytrail.spans"
    )
    table = "celerytrail.spans_before_all" if day == "-infinity" else "celerytrail.spans_after_all"
    assert stored == [(at, day, "clock", table)]
    # A clock that is wrong never moves when a task was last seen.
    assert migrated.value("SELECT updated_at FROM celerytrail.tasks") is None
    assert_clean(migrated)


def test_a_day_without_a_partition_gets_one_inside_the_window(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    # Grafana's session that read everything and went to lunch must not hold up a new day.
    with migrated.connect("grafana", autocommit=False) as idle:
        # On a slow machine it stays for longer than its role may by itself.
        idle.execute("SET idle_in_transaction_session_timeout = 0")
        idle.execute("SELECT count(*) FROM celerytrail_views.spans").fetchall()
        idle.execute("SELECT count(*) FROM celerytrail_views.payloads").fetchall()
        for days in (2, 31):
            at = NOON - timedelta(days=days)
            written = ledger.write_spans(
                migrated.token, [span_row(days, "sent", at=at, task_id="t")]
            )
            assert written == Written(inserted=1)
            name = f"celerytrail.spans_{at:%Y%m%d}"
            assert migrated.value(f"SELECT count(*) FROM {name}") == 1
    assert_clean(migrated)


def test_events_below_the_horizon_are_refused_and_not_missing(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    old = span_row(1, "sent", at=NOON - timedelta(days=5), task_id="old")
    stored = span_row(2, "sent", at=NOON - timedelta(days=5), task_id="stored")
    ledger.write_spans(migrated.token, [stored])
    migrated.run("UPDATE celerytrail.horizon SET retained_from = current_date - 3")
    written = ledger.write_spans(migrated.token, [old, stored, span_row(3, "sent", task_id="new")])
    assert (written.inserted, written.known, written.refused) == (1, 1, 1)
    assert "retention" in written.refusals[0]
    assert migrated.rows("SELECT missing, last_seq FROM celerytrail_views.streams") == [(0, 3)]


def test_rows_of_another_deployment_are_refused(migrated: MigratedDatabase, ledger: Ledger) -> None:
    written = ledger.write_spans(
        migrated.token,
        [span_row(1, "sent", task_id="mine"), span_row(1, "sent", task_id="x", deployment=BANK)],
    )
    assert (written.inserted, written.refused) == (1, 1)
    assert "deployment" in written.refusals[0]
    assert migrated.rows("SELECT DISTINCT service FROM celerytrail.spans") == [("shop",)]


def test_one_deployment_cannot_take_the_numbers_of_another(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    bank = migrated.new_token(BANK)
    squatted = [span_row(seq, "sent", task_id="evil", deployment=BANK) for seq in range(1, 5)]
    assert ledger.write_spans(bank, squatted).inserted == 4
    assert ledger.write_spans(migrated.token, task_rows()) == Written(inserted=4)


def test_an_unknown_revoked_or_expired_token_is_refused(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    with pytest.raises(TokenRefused):
        ledger.authenticate(b"\0" * 32)
    assert ledger.write_spans(migrated.token, task_rows()).inserted == 4
    migrated.run("UPDATE celerytrail.tokens SET expires_at = now() - interval '1 second'")
    with pytest.raises(TokenRefused):
        ledger.write_spans(migrated.token, task_rows(5))
    migrated.run("UPDATE celerytrail.tokens SET expires_at = NULL, revoked_at = now()")
    with pytest.raises(TokenRefused):
        ledger.write_payloads(migrated.token, [payload_row("t", "args", b"[]")])
    with pytest.raises(TokenRefused):
        ledger.quarantine(migrated.token, "why", [b"x"])
    assert migrated.value("SELECT count(*) FROM celerytrail.spans") == 4


def test_one_row_that_cannot_be_stored_does_not_hold_up_the_others(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    good = [span_row(seq, "sent", task_id=f"t{seq}") for seq in range(1, 20)]
    bad = [
        span_row(20, "sent", task_id="nul\0"),
        span_row(21, "sent", task_id="lone \ud800 surrogate"),
        span_row(22, "sent", task_id="json", attributes="{"),
        span_row(24, "sent", task_id="none", trace_id=None),
        span_row(25, "sent", task_id="day", day=NOON.date() - timedelta(days=1)),
    ]
    written = ledger.write_spans(migrated.token, [*good[:7], *bad, *good[7:]])
    assert (written.inserted, written.refused) == (len(good), len(bad))
    assert migrated.value("SELECT count(*) FROM celerytrail.quarantine") == len(bad)
    assert migrated.rows("SELECT missing, last_seq FROM celerytrail_views.streams") == [(0, 19)]
    assert_clean(migrated)


def test_a_libpq_without_pipelines_writes_the_same(
    migrated: MigratedDatabase, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    monkeypatch.delattr(psycopg.Connection, "pipeline")
    args = payload_row("t1", "args", b"[]")
    for expected in (Written(inserted=1), Written(known=1)):
        assert ledger.write_payloads(migrated.token, [args]) == expected
    for expected in (Written(inserted=4), Written(known=4)):
        assert ledger.write_spans(migrated.token, task_rows()) == expected
    assert migrated.value("SELECT state FROM celerytrail.tasks") == "succeeded"
    migrated.run("UPDATE celerytrail.tokens SET revoked_at = now()")
    with pytest.raises(TokenRefused):
        ledger.write_spans(migrated.token, task_rows(5))
    assert_clean(migrated)


def test_a_batch_beyond_the_bound_becomes_several_blocks(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    rows = [span_row(seq, "sent", task_id=f"t{seq}") for seq in range(1, 10_502)]
    assert ledger.write_spans(migrated.token, rows) == Written(inserted=10_501)
    assert migrated.rows("SELECT cnt FROM celerytrail.blocks ORDER BY batch_id") == [
        (10_000,),
        (501,),
    ]
    assert migrated.rows("SELECT seqs::text FROM celerytrail.streams") == [("{[1,10502)}",)]


def test_overlapping_batches_in_different_orders_by_four_clients(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    streams = [uuid.uuid5(STREAM, str(number)) for number in range(4)]
    rows = [
        row
        for number in range(48)
        for row in task_rows(
            4 * (number // 4) + 1, stream=streams[number % 4], task_id=f"t{number % 12}"
        )
    ]
    gate = threading.Barrier(4)

    def client(number: int) -> Written:
        mine = rows[number * 16 :] + rows[: number * 16]
        if number % 2:
            mine.reverse()
        gate.wait()
        total = Written()
        for _ in range(3):
            for start in range(0, len(mine), 24):
                total += ledger.write_spans(migrated.token, mine[start : start + 48])
        return total

    with ThreadPoolExecutor(4) as pool:
        totals = list(pool.map(client, range(4)))
    assert sum(total.inserted for total in totals) == len(rows)
    assert sum(total.equivocations + total.refused for total in totals) == 0
    assert migrated.value("SELECT count(*) FROM celerytrail.spans") == len(rows)
    assert migrated.rows("SELECT DISTINCT seqs::text FROM celerytrail.streams") == [("{[1,49)}",)]
    deadlocks = migrated.value(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    assert deadlocks == 0
    assert_clean(migrated)


def test_payloads_are_stored_once_and_shown_with_their_task(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    args = payload_row("t1", "args", b'["\xc3\xa9", 1]')
    body = payload_row("t1", "body", b"\xff\xfesealed")
    for expected in (Written(inserted=2), Written(known=2)):
        assert ledger.write_payloads(migrated.token, [args, body]) == expected
    assert ledger.write_payloads(migrated.token, [args, args]) == Written(known=2)
    sent = span_row(
        1,
        "sent",
        task_id="t1",
        task_name="shop.pay",
        sent_unix_nano=1,
        commitments=json.dumps({"args": args[10].hex()}),
    )
    ledger.write_spans(migrated.token, [sent])
    assert migrated.rows("SELECT args, kwargs FROM celerytrail_views.tasks") == [('["é", 1]', None)]
    assert migrated.rows("SELECT kind, content FROM celerytrail_views.payloads") == [
        ("args", '["é", 1]')
    ]
    # What cannot be shown is refused by itself; a payload of another deployment too.
    odd = payload_row("t2", "args", b"\xff")
    foreign = payload_row("t3", "args", b"[]", service="bank")
    written = ledger.write_payloads(
        migrated.token, [odd, foreign, payload_row("t4", "args", b"[]")]
    )
    assert (written.inserted, written.refused) == (1, 2)
    item = migrated.value("SELECT item FROM celerytrail.quarantine").decode()
    assert "'t2'" in item
    assert item.count("'1 bytes'") == item.count("'32 bytes'") == 1
    assert repr(odd[INDEX_OF_BODY]) not in item
    assert repr(odd[INDEX_OF_SALT]) not in item
    old = payload_row("t5", "args", b"[]", at=datetime(1999, 1, 1, tzinfo=timezone.utc))
    assert ledger.write_payloads(migrated.token, [old]) == Written(inserted=1)


def test_the_quarantine_is_bounded_for_each_principal(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    bank = migrated.new_token(BANK)
    ledger.quarantine(bank, "why", [b"theirs"])
    for _ in range(3):
        ledger.quarantine(migrated.token, "why\0", [b"x" * 70_000, *[b"x"] * 499])
    assert migrated.rows(
        "SELECT count(*), max(octet_length(item)), max(size) FROM celerytrail.quarantine GROUP BY principal_id ORDER BY 1"
    ) == [(1, 6, 6), (1000, 65_536, 70_000)]


def test_streams_count_what_is_missing(migrated: MigratedDatabase, ledger: Ledger) -> None:
    live, ended, left, never = (uuid.uuid5(STREAM, name) for name in ("a", "b", "c", "d"))
    rows = [
        span_row(1, "stream_opened", stream=live),
        span_row(7, "worker_heartbeat", stream=live, attributes='{"celerytrail.lost":3}'),
        span_row(1, "stream_opened", stream=ended),
        span_row(2, "stream_closed", stream=ended),
        span_row(1, "stream_opened", stream=left),
        span_row(3, "sent", stream=left, task_id="t"),
        span_row(
            1,
            "stream_abandoned",
            about_stream_id=left,
            attributes='{"celerytrail.about_stream.last_seq":9}',
        ),
        span_row(
            2,
            "stream_abandoned",
            about_stream_id=never,
            attributes='{"celerytrail.about_stream.last_seq":4}',
        ),
    ]
    ledger.write_spans(migrated.token, rows)
    found = migrated.rows(
        "SELECT stream_id, state, last_seq, missing, lost FROM celerytrail_views.streams"
    )
    assert {row[0]: row[1:] for row in found} == {
        live: ("live", 7, 5, 3),
        ended: ("ended", 2, 0, 0),
        left: ("unterminated", 9, 7, 0),
        never: ("unterminated", 4, 4, 0),
        STREAM: ("live", 2, 0, 0),
    }
    gaps = migrated.rows(
        "SELECT from_seq, to_seq, missing FROM celerytrail_views.missing_events WHERE stream_id = %s ORDER BY 1",
        left,
    )
    assert gaps == [(2, 2, 1), (4, 9, 6)]


def test_an_end_without_a_run_closes_the_open_run_of_its_send(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    sent, received, started, _ = task_rows(task_id="t")
    killed = span_row(
        9,
        "failed",
        at=NOON + timedelta(seconds=1),
        task_id="t",
        task_name="shop.pay",
        send_id=sent[INDEX["send_id"]],
        sent_unix_nano=sent[INDEX["sent_unix_nano"]],
        exception_class="billiard.exceptions.WorkerLostError",
    )
    ledger.write_spans(migrated.token, [sent, received, started])
    assert migrated.rows("SELECT state, finished_at FROM celerytrail_views.runs") == [
        ("started", None)
    ]
    ledger.write_spans(migrated.token, [killed])
    assert migrated.rows(
        "SELECT state, finished_at, exception_class, ended_from_outside FROM celerytrail_views.runs"
    ) == [("failed", NOON + timedelta(seconds=1), "billiard.exceptions.WorkerLostError", True)]
    assert migrated.value("SELECT state FROM celerytrail.tasks") == "failed"


def test_the_shop_is_who_writes(migrated: MigratedDatabase, ledger: Ledger) -> None:
    principal = ledger.authenticate(migrated.token)
    assert Deployment(*principal.deployment) == SHOP
    assert principal.name == "shop"
