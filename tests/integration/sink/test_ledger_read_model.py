"""The read model does not depend on the order of arrival, on doubles, or on how it was built."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celerytrail.sql.read_model import rebuild_read_model
from tests.span_rows import INDEX, NOON, STREAM, Row, span_row, task_rows, with_columns

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

END = INDEX["end_unix_nano"]
OTHER = uuid.uuid5(STREAM, "other")
SHIPPER = uuid.uuid5(STREAM, "shipper")


def a_busy_minute() -> list[Row]:
    """A retried task, one replaced under its id, a lost and reported end, a group, two workers."""
    second = timedelta(seconds=1)
    retried = task_rows(1, task_id="retried", end="retried", root_group_id="outer")
    again = task_rows(
        5, task_id="retried", attempt=1, at=NOON + 5 * second, end="failed", queue="slow"
    )
    replaced = task_rows(9, task_id="replaced", end="ignored", group_id="g")
    replacement = task_rows(
        13,
        task_id="replaced",
        attempt=0,
        at=NOON + 2 * second,
        task_name="shop.other",
        group_id="g",
    )
    retried[0] = with_columns(retried[0], attributes='{"celery.chain.length":3}')
    again[0] = with_columns(again[0], attributes='{"celery.chain.length":2}')
    for attempt in (retried, again):
        attempt[3] = with_columns(
            attempt[3], attributes='{"celery.exception.fingerprint":"00112233aabbccdd"}'
        )
    run = again[2]
    lost = span_row(
        1,
        "lost",
        stream=OTHER,
        at=NOON + 60 * second,
        inferred=True,
        worker="celery@b",
        **{
            name: run[INDEX[name]]
            for name in ("task_id", "task_name", "send_id", "sent_unix_nano", "run_id", "retries")
        },
    )
    # Celery reports a killed child twice, at the same microsecond.
    killed = [
        span_row(
            number,
            "failed",
            stream=OTHER,
            at=NOON + 7 * second,
            task_id="killed",
            task_name="shop.pay",
            send_id=b"killedid",
            sent_unix_nano=7,
            exception_class=f"Killed{number}",
            attributes=json.dumps({"celery.exception.fingerprint": f"{number:016x}"}),
        )
        for number in (2, 3)
    ]
    groups = [
        span_row(
            number,
            "group",
            stream=OTHER,
            at=NOON + number * second,
            group_id="g",
            root_group_id="outer",
            attributes=json.dumps({"celery.group.kind": "group", "celery.group.size": number}),
        )
        for number in (4, 5)
    ]
    life = [
        span_row(6, "worker_ready", stream=OTHER, attributes='{"celery.concurrency":4,"celery.pool":"prefork"}'),
        span_row(7, "worker_heartbeat", stream=OTHER, at=NOON + second, attributes='{"celerytrail.lost":2}'),
        span_row(8, "worker_stopping", stream=OTHER, at=NOON + 9 * second),
        span_row(9, "stream_closed", stream=OTHER, at=NOON + 10 * second, attributes='{"celerytrail.lost":2}'),
        span_row(
            1,
            "stream_abandoned",
            stream=SHIPPER,
            at=NOON + 20 * second,
            process_kind="shipper",
            about_stream_id=STREAM,
            attributes='{"celerytrail.about_stream.last_seq":20}',
        ),
        span_row(
            2, "sent", stream=SHIPPER, at=NOON + timedelta(days=2), task_id="retried", marks="clock",
            task_name="shop.pay", sent_unix_nano=1,
        ),
        span_row(3, "malformed", stream=SHIPPER),
        span_row(
            7, "worker_heartbeat", stream=SHIPPER, at=NOON + 30 * second, process_kind="shipper",
            worker="shipper@host", attributes='{"celerytrail.lost":1}',
        ),
        *(
            span_row(number, "shipper_heartbeat", stream=SHIPPER, at=NOON + number * second,
                     process_kind="shipper", worker="shipper@host", attributes=attributes)
            for number, attributes in (
                (4, '{"celerytrail.spool.bytes":900,"celerytrail.spool.lag_ms":70,"celerytrail.version":"2"}'),
                (5, ('{"celerytrail.spool.bytes":100,"celerytrail.spool.segments":3,'
                    '"celerytrail.spool.rejected":7,"celerytrail.delivery.error":"refused 401",'
                    '"celerytrail.version":"1"}')),
                (6, '{"celerytrail.spool.bytes":"many","celerytrail.version":"3"}'),
            )
        ),
    ]  # fmt: skip
    return [*retried, *again, *replaced, *replacement, lost, *killed, *groups, *life]


def write(
    database: MigratedDatabase, ledger: Ledger, batches: Sequence[Sequence[Row]]
) -> dict[str, list[tuple[object, ...]]]:
    with database.connect() as connection:
        # The owner's accident is forbidden; a test that starts again is a superuser who means it.
        connection.execute("SET session_replication_role = replica")
        for table in ("spans", "leaf_groups", "blocks", "chain"):
            connection.execute(f"ALTER TABLE celerytrail.{table} DISABLE TRIGGER USER".encode())
            connection.execute(f"DELETE FROM celerytrail.{table}".encode())
            connection.execute(f"ALTER TABLE celerytrail.{table} ENABLE TRIGGER USER".encode())
            for (name,) in connection.execute(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal",
                [f"celerytrail.{table}"],
            ).fetchall():
                connection.execute(
                    f"ALTER TABLE celerytrail.{table} ENABLE ALWAYS TRIGGER {name}".encode()
                )
        connection.execute(
            "DELETE FROM celerytrail.tasks; DELETE FROM celerytrail.runs;"
            "DELETE FROM celerytrail.run_ends; DELETE FROM celerytrail.groups;"
            "DELETE FROM celerytrail.streams; DELETE FROM celerytrail.workers;"
            "DELETE FROM celerytrail.failures"
        )
    for batch in batches:
        ledger.write_spans(database.token, batch)
    return database.read_model()


def test_any_order_and_any_number_of_times_give_the_same_read_model(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    rows = a_busy_minute()
    expected = write(migrated, ledger, [rows])

    @settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        st.permutations(rows), st.lists(st.integers(1, len(rows)), max_size=8), st.integers(0, 30)
    )
    def check(order: list[Row], cuts: list[int], repeated: int) -> None:
        edges = [0, *sorted(set(cuts)), len(order)]
        batches = [order[low:high] for low, high in pairwise(edges) if low < high]
        assert write(migrated, ledger, [*batches, order[:repeated]]) == expected

    check()


def test_the_busy_minute_reads_as_it_was(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ledger.write_spans(migrated.token, a_busy_minute())
    tasks = migrated.rows(
        "SELECT task_id, state, attempts, task_name, queue, runs, exception_class, root_group_id, worker"
        " FROM celerytrail_views.tasks ORDER BY 1"
    )
    assert tasks == [
        ("killed", "failed", 1, "shop.pay", None, 0, tasks[0][6], None, "celery@host"),
        ("replaced", "succeeded", 1, "shop.other", "orders", 1, None, None, "celery@host"),
        (
            "retried",
            "failed",
            2,
            "shop.pay",
            "slow",
            2,
            "builtins.ValueError",
            "outer",
            "celery@host",
        ),
    ]
    assert migrated.rows(
        "SELECT group_id, kind, size, members, succeeded, failed, unfinished, root_group_id FROM celerytrail_views.groups"
    ) == [("g", "group", 4, 1, 1, 0, 0, "outer")]
    assert migrated.rows(
        "SELECT worker, state, concurrency, pool, seen_at FROM celerytrail_views.workers"
    ) == [("celery@host", "stopping", 4, "prefork", NOON + timedelta(seconds=9))]
    # The newest heartbeat that makes sense, whole: nothing is left of the one before it.
    assert migrated.rows(
        "SELECT worker, state, version, heartbeat_at, spool_bytes, spool_segments, spool_lag_ms, rejected,"
        " delivery_error FROM celerytrail_views.heartbeats"
    ) == [
        ("shipper@host", "live", "1", NOON + timedelta(seconds=5), 100, 3, None, 7, "refused 401")
    ]
    assert migrated.rows(
        "SELECT fingerprint, step, is_retried, task_id, retries, workflow_id FROM celerytrail_views.failures"
        " ORDER BY event_time, fingerprint"
    ) == [
        ("00112233aabbccdd", "retried", True, "retried", 0, "outer"),
        ("00112233aabbccdd", "failed", False, "retried", 1, "retried"),
        ("0000000000000002", "failed", False, "killed", None, "killed"),
        ("0000000000000003", "failed", False, "killed", None, "killed"),
    ]
    assert migrated.rows(
        "SELECT task_id, chain_length FROM celerytrail.tasks WHERE chain_length IS NOT NULL"
    ) == [("retried", 3)]
    # The publisher's event says what the arguments were, whatever came after it.
    assert migrated.rows(
        "SELECT task_id, args_commitment IS NULL, message_day FROM celerytrail.tasks ORDER BY 1"
    ) == [
        ("killed", True, NOON.date()),
        ("replaced", False, NOON.date()),
        ("retried", False, NOON.date()),
    ]
    updated = migrated.value("SELECT updated_at FROM celerytrail.tasks WHERE task_id = 'retried'")
    assert updated == NOON + timedelta(seconds=60)


def test_a_reported_end_wins_over_a_concluded_one(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    rows = task_rows(task_id="t")
    lost = with_columns(
        rows[3], step="lost", inferred=True, seq=9, event_id=uuid.uuid4(), runtime_us=None
    )
    ledger.write_spans(migrated.token, [*rows[:3], lost])
    assert migrated.rows("SELECT state, inferred FROM celerytrail.tasks") == [("lost", True)]
    assert migrated.rows("SELECT state, inferred FROM celerytrail.runs") == [("lost", True)]
    ledger.write_spans(migrated.token, [rows[3]])
    for table in ("tasks", "runs"):
        assert migrated.rows(f"SELECT state, inferred, runtime_us FROM celerytrail.{table}") == [
            ("succeeded", False, 1000)
        ]


@pytest.mark.parametrize("first_end", ["lost", "aborted", "rejected"])
def test_a_message_that_came_again_runs_again(
    migrated: MigratedDatabase, ledger: Ledger, first_end: str
) -> None:
    rows = task_rows(task_id="t", end=first_end)
    again = [
        with_columns(
            row, seq=seq, event_id=uuid.uuid4(), run_id=b"again-id", end_unix_nano=row[END] + 10**9
        )
        for seq, row in ((8, rows[2]), (9, task_rows(task_id="t", end="succeeded")[3]))
    ]
    states = "SELECT t.state, array_agg(r.state ORDER BY r.started_at) FROM celerytrail.tasks t JOIN celerytrail.runs r USING (task_id) GROUP BY 1"
    ledger.write_spans(migrated.token, rows)
    assert migrated.rows(states) == [(first_end, [first_end])]
    ledger.write_spans(migrated.token, again[:1])
    assert migrated.rows("SELECT state FROM celerytrail.tasks") == [("started",)]
    ledger.write_spans(migrated.token, again[1:])
    assert migrated.rows("SELECT state FROM celerytrail.tasks") == [("succeeded",)]
    assert {state for (state,) in migrated.rows("SELECT state FROM celerytrail.runs")} == {
        first_end,
        "succeeded",
    }


def test_what_the_main_process_reports_is_about_the_newest_run_of_its_send(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    rows = task_rows(task_id="t", end="lost")
    second = with_columns(
        rows[2],
        seq=8,
        event_id=uuid.uuid4(),
        run_id=b"again-id",
        event_time=NOON + timedelta(seconds=1),
        end_unix_nano=rows[2][END] + 10**9,
    )
    killed = with_columns(
        rows[3],
        seq=9,
        step="failed",
        event_id=uuid.uuid4(),
        run_id=None,
        exception_class="WorkerLostError",
        event_time=NOON + timedelta(seconds=2),
        end_unix_nano=rows[2][END] + 2 * 10**9,
    )
    ledger.write_spans(migrated.token, [*rows, second, killed])
    assert migrated.rows(
        "SELECT state, ended_from_outside, exception_class FROM celerytrail_views.runs ORDER BY started_at"
    ) == [("lost", False, None), ("failed", True, "WorkerLostError")]
    assert migrated.rows("SELECT state FROM celerytrail_views.tasks") == [("failed",)]


def test_a_task_that_waits_is_visible_with_its_queue(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ledger.write_spans(migrated.token, task_rows(task_id="t", eta=NOON)[:1])
    assert migrated.rows(
        "SELECT state, queue, worker, sent_at, first_sent_at, eta, started_at, attempts, args"
        " FROM celerytrail_views.tasks"
    ) == [("sent", "orders", None, NOON, NOON, NOON, None, 1, None)]


def test_a_rebuild_from_the_ledger_gives_the_same(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    rows = a_busy_minute()
    for start in range(0, len(rows), 5):
        ledger.write_spans(migrated.token, rows[start : start + 5])
    kept = migrated.read_model()
    with migrated.connect() as connection:
        connection.execute("UPDATE celerytrail.tasks SET state = 'lied', runtime_us = 1")
        connection.execute("DELETE FROM celerytrail.runs")
        assert migrated.read_model() != kept
        assert rebuild_read_model(connection, rows_at_once=7).spans == len(rows)
    assert migrated.read_model() == kept
    # And the sink goes on from there.
    assert ledger.write_spans(migrated.token, rows).known == len(rows)
    assert migrated.read_model() == kept


@pytest.mark.parametrize("dropped", [True, False])
def test_a_rebuild_after_retention_keeps_the_numbers_of_what_was_dropped(
    migrated: MigratedDatabase, ledger: Ledger, dropped: bool
) -> None:
    old_day = NOON - timedelta(days=5)
    old = [span_row(seq, "sent", at=old_day, task_id="old") for seq in (1, 2)]
    ledger.write_spans(migrated.token, [*old, *task_rows(3)])
    kept = migrated.rows("SELECT s::text FROM celerytrail.streams s")
    if dropped:
        migrated.run(
            f"DROP TABLE celerytrail.spans_{old_day:%Y%m%d};"
            "UPDATE celerytrail.horizon SET retained_from = current_date - 3"
        )
    else:
        migrated.run("UPDATE celerytrail.streams SET seqs = '{[1,100)}', last_seq = 99")
    with migrated.connect() as connection:
        assert rebuild_read_model(connection).spans == (4 if dropped else 6)
    assert migrated.rows("SELECT s::text FROM celerytrail.streams s") == kept
    assert migrated.rows("SELECT missing, last_seq FROM celerytrail_views.streams") == [(0, 6)]
    assert ledger.write_spans(migrated.token, old).known == 2
