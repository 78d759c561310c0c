"""Runs whose process is gone with its spool are concluded to be lost, and nothing else is."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.event_id import StreamHash
from celerytrail.sql.database_verifier import verify_inside
from celerytrail.sql.maintain import maintain_once
from celerytrail.sql.outside_verifier import verify_outside
from celerytrail.sql.read_model import rebuild_read_model
from tests.span_rows import INDEX, SHOP, STREAM, Row, span_row, task_rows
from tests.waiting import wait_until

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

MAIN = uuid.uuid5(STREAM, "main process")
CHILD = uuid.uuid5(STREAM, "pool child")
AGAIN = uuid.uuid5(STREAM, "main process after a restart")
CHILD_AGAIN = uuid.uuid5(STREAM, "pool child after a restart")
OTHER = uuid.uuid5(STREAM, "worker on another host")

CONCLUDE = "SELECT task_id FROM celerytrail.conclude_lost(%s)"
SPEAK = (
    "SET ROLE celerytrail_owner; SELECT celerytrail.speak_as_concluder('acme', 'shop', 'test', 0)"
)
STATES = "SELECT task_id, state, inferred FROM celerytrail.tasks ORDER BY 1"
AGE = """
    SET session_replication_role = replica;
    ALTER TABLE celerytrail.spans DISABLE TRIGGER forbid_change;
    ALTER TABLE celerytrail.blocks DISABLE TRIGGER forbid_change;
    UPDATE celerytrail.spans SET received_at = received_at - interval '{seconds} seconds';
    UPDATE celerytrail.blocks SET sealed_at = sealed_at - interval '{seconds} seconds';
    ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER forbid_change;
    ALTER TABLE celerytrail.blocks ENABLE ALWAYS TRIGGER forbid_change;
"""


def ago(minutes: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(minutes=minutes)


def age(database: MigratedDatabase, minutes: float) -> None:
    """Make everything that is in the ledger have arrived so long before."""
    partitions = database.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'celerytrail.spans'::regclass"
    )
    statements = AGE.format(seconds=minutes * 60)
    for (name,) in partitions:
        statements = (
            f"ALTER TABLE {name} DISABLE TRIGGER forbid_change;{statements}"
            f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER forbid_change;"
        )
    database.run(statements)


def beat(seq: int, minutes: float, stream: uuid.UUID = MAIN, **columns: Any) -> Row:
    step = "worker_ready" if seq == 1 else "worker_heartbeat"
    return span_row(seq, step, stream=stream, at=ago(minutes), **columns)


def a_run(
    task_id: str, minutes: float, stream: uuid.UUID = CHILD, seq: int = 1, **columns: Any
) -> list[Row]:
    """Sent, received, started: all that is known of a run that goes on."""
    return task_rows(
        seq, task_id=task_id, stream=stream, at=ago(minutes), process_kind="child", **columns
    )[:3]


def write(database: MigratedDatabase, ledger: Ledger, rows: list[Row]) -> None:
    written = ledger.write_spans(database.token, rows)
    assert written.inserted == len(rows), written


def others_go_on(database: MigratedDatabase, ledger: Ledger, minutes: float = 6) -> None:
    """Let so many minutes pass in which a worker on another host is heard every half minute."""
    known = database.value(
        "SELECT coalesce(max(last_seq), 0) FROM celerytrail.streams WHERE host = 'b'"
    )
    for number in range(int(minutes * 2)):
        age(database, 0.5)
        left = minutes - number / 2 - 0.5
        row = beat(known + number + 1, left, OTHER, worker="celery@b", host="b")
        write(database, ledger, [row])
        # It arrived when it happened, not now.
    age(database, 0.01)


def conclude(database: MigratedDatabase, at_most: int = 100) -> list[str]:
    with database.connect("maintainer") as maintainer:
        found = maintainer.execute(CONCLUDE, [at_most]).fetchall()
    return sorted(task_id for (task_id,) in found)


def test_a_worker_that_fell_silent_lost_what_it_ran(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, [beat(1, 30), *a_run("long", 25, group_id="g"), beat(2, 20)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    reported: list[str] = []
    assert maintain_once(migrated.dsn("maintainer"), lambda done: reported.append(done.message))
    assert [line for line in reported if "is lost: celery@host" in line and "task long" in line]
    assert migrated.rows(STATES) == [("long", "lost", True)]
    assert migrated.rows(
        "SELECT state, inferred, finished_at > started_at, ended_from_outside FROM celerytrail_views.runs"
    ) == [("lost", True, True, False)]
    # In the name of the worker, in a stream of its own of which nothing is missing.
    assert migrated.rows(
        "SELECT worker, host, pid, state, missing, last_seq FROM celerytrail_views.streams WHERE process_kind = 'concluder'"
    ) == [("celery@host", "host", 17, "ended", 0, 2)]
    assert conclude(migrated) == []
    with migrated.connect() as connection:
        found = rebuild_read_model(connection, repair=False)
    assert found.differences == ()


def test_the_row_is_the_same_whoever_makes_it(migrated: MigratedDatabase, ledger: Ledger) -> None:
    write(migrated, ledger, [beat(1, 30), *a_run("long", 25)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    with ThreadPoolExecutor(4) as pool:
        found = [task for one in pool.map(conclude, [migrated] * 4) for task in one]
    assert found == ["long"]
    ((stream, *lost),) = migrated.rows(
        "SELECT stream_id, seq, event_id, span_id, event_time, end_unix_nano, parent_span_id = send_id"
        " FROM celerytrail.spans WHERE step = 'lost'"
    )
    seq, event_id, _, event_time, end_unix_nano, below_the_send = lost
    assert event_id == StreamHash(SHOP.label, stream).event_id(end_unix_nano, seq)
    assert (seq, below_the_send) == (1, True)
    # When its own process was last heard of, whatever the main process said later.
    started = migrated.value("SELECT started_at FROM celerytrail.runs")
    assert started < event_time <= started + timedelta(milliseconds=1)
    # Somebody who has not seen the first one's row makes the same.
    again = (
        "SELECT l.event_id FROM celerytrail.spans s JOIN celerytrail.streams o USING (stream_id),"
        " LATERAL celerytrail.lost_rows(s, o.updated_at) AS l WHERE s.step = 'started' AND l.step = 'lost'"
    )
    assert migrated.value(again) == event_id


def test_the_chain_holds(migrated: MigratedDatabase, ledger: Ledger) -> None:
    """Nothing is shifted here: five seconds of silence are waited for."""
    migrated.run("UPDATE celerytrail.conclusion SET silent_after = '5 seconds'")
    write(migrated, ledger, [beat(1, 30), *a_run("long", 25)])
    numbers = iter(range(1, 10**6))

    def others_are_heard() -> list[str]:
        row = beat(next(numbers), 0, OTHER, worker="celery@b", host="b")
        write(migrated, ledger, [row])
        return conclude(migrated)

    assert wait_until(others_are_heard, "the conclusion") == ["long"]
    for verified in (
        verify_inside(migrated.dsn("verifier")),
        verify_outside(migrated.dsn("verifier")),
    ):
        assert verified.bad == ()
    assert (
        migrated.value(
            "SELECT b.sealed_by FROM celerytrail.blocks b JOIN celerytrail.spans s USING (batch_id) WHERE s.step = 'lost'"
        )
        == "celerytrail_maintainer"
    )


def test_silence_of_everybody_is_not_death(migrated: MigratedDatabase, ledger: Ledger) -> None:
    write(migrated, ledger, [beat(1, 30), *a_run("long", 25)])
    age(migrated, 20)
    assert conclude(migrated) == []


@pytest.mark.parametrize("lives", [True, False])
def test_after_an_outage_everybody_has_time_to_speak(
    migrated: MigratedDatabase, ledger: Ledger, lives: bool
) -> None:
    write(migrated, ledger, [beat(1, 30), *a_run("long", 25), beat(2, 20)])
    write(migrated, ledger, [beat(1, 20, OTHER, worker="celery@b", host="b")])
    age(migrated, 20)
    # Ten minutes without a database, then the other worker's spool is delivered first.
    late = [beat(seq, 12 - seq, OTHER, worker="celery@b", host="b") for seq in range(2, 12)]
    write(migrated, ledger, late)
    assert conclude(migrated) == []
    age(migrated, 3)
    write(migrated, ledger, [beat(12, 0, OTHER, worker="celery@b", host="b")])
    assert conclude(migrated) == []
    assert migrated.rows(STATES) == [("long", "started", False)]
    if lives:
        write(migrated, ledger, [beat(3, 11), beat(4, 1)])
    others_go_on(migrated, ledger)
    assert conclude(migrated) == ([] if lives else ["long"])


def test_a_host_that_still_delivers_what_it_kept_is_waited_for(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, [beat(1, 30), *a_run("long", 25)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    write(
        migrated,
        ledger,
        [
            span_row(
                1,
                "sent",
                stream=STREAM,
                at=ago(15),
                task_id="old",
                process_kind="publisher",
                sent_unix_nano=1,
            )
        ],
    )
    assert conclude(migrated) == []
    others_go_on(migrated, ledger)
    assert conclude(migrated) == ["long"]


@pytest.mark.parametrize("said", ["stream_closed", "stream_abandoned"])
@pytest.mark.parametrize("whose", ["child", "main"])
def test_a_process_that_ended_runs_nothing(
    migrated: MigratedDatabase, ledger: Ledger, said: str, whose: str
) -> None:
    stream = CHILD if whose == "child" else MAIN
    end = (
        span_row(4, said, stream=stream, at=ago(20))
        if said == "stream_closed"
        else span_row(1, said, stream=STREAM, at=ago(20), about_stream_id=stream)
    )
    write(migrated, ledger, [beat(1, 30), *a_run("long", 25), end])
    age(migrated, 20)
    if whose == "child":
        write(migrated, ledger, [beat(2, 1)])
        age(migrated, 1)
    others_go_on(migrated, ledger)
    assert conclude(migrated) == ["long"]


def test_a_worker_that_was_started_again_under_its_name_runs_only_what_came_after(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, [beat(1, 40), *a_run("before", 35)])
    write(migrated, ledger, [beat(1, 20, AGAIN), *a_run("after", 15, CHILD_AGAIN)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    write(migrated, ledger, [beat(2, 0, AGAIN)])
    assert conclude(migrated) == ["before"]
    assert migrated.rows(STATES) == [("after", "started", False), ("before", "lost", True)]


def test_a_clock_that_was_set_back_makes_nobody_the_child_of_another(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """The worker began by a clock that was a day ahead, so after its own child. One before it has ended."""
    ended = span_row(2, "stream_closed", stream=MAIN, at=ago(500))
    began = span_row(1, "stream_opened", stream=AGAIN, at=ago(-60 * 24))
    write(migrated, ledger, [beat(1, 600), ended, began, beat(2, 30, AGAIN), *a_run("long", 25)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    write(migrated, ledger, [beat(3, 0, AGAIN)])
    assert conclude(migrated) == []


def test_what_does_not_run_is_not_lost(migrated: MigratedDatabase, ledger: Ledger) -> None:
    """Sent and never received, received and not begun, ended, and killed as its main process said."""
    sent = a_run("sent", 30, seq=1)[:1]
    received = a_run("received", 30, seq=2)[:2]
    ended = task_rows(4, task_id="ended", stream=CHILD, at=ago(30))
    killed = a_run("killed", 30, seq=8)
    report = span_row(
        2, "failed", stream=MAIN, at=ago(29), task_id="killed", task_name="shop.pay",
        send_id=killed[2][INDEX["send_id"]], sent_unix_nano=killed[2][INDEX["sent_unix_nano"]],
        exception_class="WorkerLostError",
    )  # fmt: skip
    write(migrated, ledger, [beat(1, 40), *sent, *received, *ended, *killed, report])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    assert conclude(migrated) == []
    assert [state for _, state, _ in migrated.rows(STATES)] == [
        "succeeded",
        "failed",
        "received",
        "sent",
    ]


def test_a_long_run_of_a_worker_that_lives_is_not_lost(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, [beat(1, 600), *a_run("long", 500)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    write(migrated, ledger, [beat(2, 0)])
    assert conclude(migrated) == []


def test_a_late_report_wins(migrated: MigratedDatabase, ledger: Ledger) -> None:
    at = ago(25)
    rows = task_rows(1, task_id="long", stream=CHILD, at=at, process_kind="child")
    write(migrated, ledger, [beat(1, 30), *rows[:3]])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    assert conclude(migrated) == ["long"]
    write(migrated, ledger, rows[3:])
    assert migrated.rows(STATES) == [("long", "succeeded", False)]
    assert migrated.rows("SELECT state, inferred, runtime_us FROM celerytrail_views.runs") == [
        ("succeeded", False, 1000)
    ]


def test_a_message_that_came_again_runs(migrated: MigratedDatabase, ledger: Ledger) -> None:
    at = ago(25)
    first = task_rows(1, task_id="t", stream=CHILD, at=at, process_kind="child")[:3]
    send = {name: first[2][INDEX[name]] for name in ("send_id", "sent_unix_nano")}
    again = span_row(
        1, "started", stream=OTHER, at=ago(10), task_id="t", task_name="shop.pay", run_id=b"again-id",
        worker="celery@b", host="b", **send,
    )  # fmt: skip
    write(migrated, ledger, [beat(1, 30), *first, again])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    assert conclude(migrated) == ["t"]
    assert migrated.rows(STATES) == [("t", "started", False)]
    assert migrated.rows("SELECT worker, state FROM celerytrail.runs ORDER BY started_at") == [
        ("celery@host", "lost"),
        ("celery@b", "started"),
    ]


def test_a_host_that_is_waited_for_holds_up_no_other(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """More of its runs are open than one round concludes, and they come first."""
    write(migrated, ledger, [beat(1, 30), *a_run("a0", 25), *a_run("a1", 25, seq=4)])
    there: dict[str, Any] = {"worker": "celery@c", "host": "c"}
    main, child = uuid.uuid5(MAIN, "c"), uuid.uuid5(CHILD, "c")
    write(migrated, ledger, [beat(1, 30, main, **there), *a_run("z", 25, child, **there)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    # A clock that is this far behind, or a spool that is delivered at last.
    write(migrated, ledger, [span_row(1, "stream_opened", stream=STREAM, at=ago(15))])
    assert conclude(migrated, at_most=1) == ["z"]
    assert conclude(migrated, at_most=1) == []


def test_an_end_that_arrives_while_it_is_concluded_counts_in_full(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """What is known of the run is what a rebuild makes of both, whichever was written first."""
    rows = task_rows(1, task_id="t", stream=CHILD, at=ago(25), process_kind="child")
    later = a_run("u", 22, seq=5)
    write(migrated, ledger, [beat(1, 30), *rows[:3], *later])
    # Its first word in a deployment holds the chain, until which nobody could be in between.
    migrated.run(SPEAK)
    age(migrated, 20)
    others_go_on(migrated, ledger)
    with (
        ThreadPoolExecutor(2) as pool,
        migrated.connect(autocommit=False) as holder,
    ):
        holder.execute("SELECT FROM celerytrail.tasks WHERE task_id = 't' FOR UPDATE")
        sink = pool.submit(write, migrated, ledger, rows[3:])
        wait_until(lambda: waiting(migrated) == 1, "the sink, before it commits the end")
        concluder = pool.submit(conclude, migrated)
        wait_until(lambda: waiting(migrated) == 2, "the conclusion, after it looked")
        holder.rollback()
        sink.result(60)
        assert concluder.result(60) == ["t", "u"]
    assert migrated.rows(STATES) == [("t", "succeeded", False), ("u", "lost", True)]
    with migrated.connect() as connection:
        assert rebuild_read_model(connection, repair=False).differences == ()


def waiting(database: MigratedDatabase) -> int:
    return int(
        database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


def test_its_token_can_be_revoked(migrated: MigratedDatabase, ledger: Ledger) -> None:
    for number in (1, 2):
        stream = uuid.uuid5(CHILD, f"{number}")
        main = uuid.uuid5(MAIN, f"{number}")
        write(migrated, ledger, [beat(1, 30, main), *a_run(f"t{number}", 25, stream)])
    age(migrated, 20)
    others_go_on(migrated, ledger)
    migrated.run(SPEAK)
    name = migrated.value("SELECT name FROM celerytrail.principals WHERE name LIKE 'concluder%%'")
    assert name == "concluder of acme/shop/test"
    migrated.run(
        "UPDATE celerytrail.tokens t SET revoked_at = now() FROM celerytrail.principals p"
        " WHERE p.principal_id = t.principal_id AND p.name LIKE 'concluder%'"
    )
    assert conclude(migrated) == []
    elsewhere = Deployment("acme", "elsewhere", "test")
    main, child = uuid.uuid5(MAIN, "elsewhere"), uuid.uuid5(CHILD, "elsewhere")
    ledger.write_spans(
        migrated.new_token(elsewhere),
        [
            beat(1, 30, main, deployment=elsewhere),
            *a_run("z", 25, child, deployment=elsewhere),
        ],
    )
    age(migrated, 20)
    others_go_on(migrated, ledger)
    # What nobody concludes in one deployment holds up no other.
    assert conclude(migrated, at_most=1) == ["z"]
    migrated.run("UPDATE celerytrail.tokens SET revoked_at = NULL")
    assert conclude(migrated) == ["t1", "t2"]


@pytest.mark.parametrize("role", ["sink", "actions", "grafana", "verifier"])
def test_only_the_maintainer_concludes_and_it_chooses_no_bound(
    migrated: MigratedDatabase, role: str
) -> None:
    with migrated.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(CONCLUDE, [100])
    with migrated.connect("maintainer") as maintainer:
        for statement in (
            "UPDATE celerytrail.conclusion SET silent_after = '1 second'",
            "SELECT celerytrail.speak_as_concluder('acme', 'shop', 'test', 0)",
            "SELECT celerytrail.write_lost(NULL)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                maintainer.execute(statement)


def test_a_run_far_beyond_the_usual_is_stuck(migrated: MigratedDatabase, ledger: Ledger) -> None:
    for number in range(20):
        write(migrated, ledger, task_rows(4 * number + 1, task_id=f"t{number}", at=ago(60)))
    write(migrated, ledger, [beat(1, 30), *a_run("long", 5), *a_run("new", 0.5, seq=4)])
    write(migrated, ledger, a_run("unknown", 5, uuid.uuid5(CHILD, "x"), task_name="shop.rare"))
    # The usual is a millisecond; at least a minute is waited.
    assert migrated.rows(
        "SELECT task_id, usual_us, stuck_since - started_at, worker_is_silent FROM celerytrail_views.stuck_runs"
    ) == [("long", 1000, timedelta(minutes=1), True)]
    assert migrated.rows("SELECT state FROM celerytrail.tasks WHERE task_id = 'long'") == [
        ("started",)
    ]
