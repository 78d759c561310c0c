"""Any set of events and actions, in any order, any number of times, over two sinks at once: one read model."""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from celerytrail.exporter.attributes import STEPS
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.migrate import migrate
from celerytrail.sql.read_model import rebuild_read_model
from celerytrail.sql.tokens import create_token, token_hash
from tests.span_rows import NOON, STREAM, Row, nanoseconds, span_row

if TYPE_CHECKING:
    from celerytrail.examples.embedded.postgres import EmbeddedPostgres
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASK_STEPS = [step.name for step in STEPS if step.subject == "task"]
WORKER_STEPS = [step.name for step in STEPS if step.subject == "worker"]
STREAMS = [uuid.uuid5(STREAM, f"stream {number}") for number in range(3)]

# Few values of each, so that they meet: the same time, the same send, the same group.
times = st.integers(0, 3).map(lambda step: NOON + timedelta(milliseconds=step))
marks = st.sampled_from([None, None, None, "clock", "clock,text_cut"])
names = st.sampled_from([None, "x", "y"])
# What must not be taken for a number, too.
numbers = st.sampled_from([0, 1, 7, "7", "many", -1, None])


@dataclass(frozen=True, slots=True)
class Event:
    """What is said and by which stream; its number comes from its place."""

    step: str
    stream: int
    columns: dict[str, Any]


def text(*values: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *values])


@st.composite
def task_events(draw: st.DrawFn) -> Event:
    task, attempt = draw(st.sampled_from("ab")), draw(st.integers(0, 1))
    run = draw(st.sampled_from([None, 1, 2]))
    derived = draw(st.integers(0, 4)) == 0
    seed = hashlib.sha256(f"{task}{attempt}".encode()).digest()
    said = {kind: f"{draw(st.integers(1, 2))}" * 64 for kind in ("args", "exception", "result")}
    return Event(
        draw(st.sampled_from(TASK_STEPS)),
        draw(st.integers(0, 2)),
        {
            "at": draw(times),
            "marks": draw(marks),
            "task_id": task,
            "task_name": draw(names),
            "retries": draw(st.sampled_from([None, attempt])),
            "queue": draw(text("q", "r")),
            "root_id": draw(text("a", "b")),
            "parent_id": draw(text("a")),
            "group_id": draw(text("g", "h")),
            "root_group_id": draw(text("g", "h")),
            "chord_body_id": draw(text("body")),
            "send_id": None if derived else seed[:8],
            "sent_unix_nano": None if derived else nanoseconds(NOON) + attempt,
            "run_id": None if run is None else seed[8 * run : 8 * run + 8],
            "inferred": draw(st.booleans()),
            "worker": draw(text("celery@a", "celery@b")),
            "queue_wait_us": draw(st.sampled_from([None, 5, 6])),
            "runtime_us": draw(st.sampled_from([None, 1, 2])),
            "exception_class": draw(text("E", "F")),
            "priority": draw(st.sampled_from([None, 3])),
            "commitments": draw(st.sampled_from([None, json.dumps(said)])),
        },
    )


@st.composite
def other_events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(["group", "worker", "opened", "closed", "abandoned", "shipper"]))
    columns: dict[str, Any] = {"at": draw(times), "marks": draw(marks)}
    attributes: dict[str, Any] = {
        "celerytrail.lost": draw(numbers),
        "celerytrail.spool.bytes": draw(numbers),
        "celerytrail.spool.lag_ms": draw(numbers),
        "celerytrail.version": draw(names),
    }
    if kind == "group":
        step = "group"
        columns |= {"group_id": draw(st.sampled_from("gh")), "root_group_id": draw(text("h"))}
        attributes = {"celery.group.size": draw(numbers), "celery.group.kind": draw(names)}
    elif kind == "worker":
        step = draw(st.sampled_from(WORKER_STEPS))
        columns |= {
            "worker": draw(text("celery@a", "celery@b")),
            "process_kind": draw(st.sampled_from([None, "worker", "child"])),
        }
        attributes |= {"celery.concurrency": draw(numbers), "celery.pool": draw(names)}
    elif kind == "abandoned":
        step = "stream_abandoned"
        columns["about_stream_id"] = draw(st.sampled_from([*STREAMS, uuid.uuid5(STREAM, "gone")]))
        attributes = {"celerytrail.about_stream.last_seq": draw(numbers)}
    else:
        step = {
            "opened": "stream_opened",
            "closed": "stream_closed",
            "shipper": "shipper_heartbeat",
        }[kind]
    said = {name: value for name, value in attributes.items() if value is not None}
    return Event(step, draw(st.integers(0, 2)), columns | {"attributes": json.dumps(said)})


@dataclass(frozen=True, slots=True)
class Purge:
    """An operator took the message of a task out of its queue."""

    task: str
    attempt: int
    at: int


@st.composite
def purges(draw: st.DrawFn) -> Purge:
    return Purge(draw(st.sampled_from("ab")), draw(st.integers(0, 1)), draw(st.integers(0, 3)))


def rows_of(events: list[Event], deployment: Deployment) -> list[Row]:
    counts = dict.fromkeys(range(3), 0)
    rows = []
    for event in events:
        counts[event.stream] += 1
        rows.append(
            span_row(
                counts[event.stream],
                event.step,
                stream=STREAMS[event.stream],
                deployment=deployment,
                **event.columns,
            )
        )
    return rows


@dataclass(slots=True)
class Place:
    """A database, two sinks in front of it, and what operators do there."""

    database: MigratedDatabase
    sinks: tuple[Ledger, Ledger]

    def token(self, deployment: Deployment) -> bytes:
        with self.database.connect() as connection:
            made = create_token(
                connection,
                name=deployment.service,
                namespace=deployment.namespace,
                service=deployment.service,
                environment=deployment.environment,
            )
        return token_hash(made.token)

    def purge(self, done: list[Purge], deployment: Deployment) -> None:
        with self.database.connect() as connection:
            for number, one in enumerate(done):
                detail = {
                    "purged": [
                        {
                            "task_id": one.task,
                            "sent_unix_nano": str(nanoseconds(NOON) + one.attempt),
                        }
                    ]
                }
                # As append_action() does, but with a time that is the same in both places.
                connection.execute(
                    "INSERT INTO celerytrail.actions (action_id, action_time, phase, verb, actor, actor_kind,"
                    " namespace, service, environment, detail, recorded_by)"
                    " VALUES (%s, %s, 'outcome', 'purge', 'alice', 'user', %s, %s, %s, %s, 'test')",
                    [
                        uuid.uuid5(STREAM, f"{deployment.service} {number}"),
                        NOON + timedelta(milliseconds=one.at),
                        deployment.namespace,
                        deployment.service,
                        deployment.environment,
                        json.dumps(detail),
                    ],
                )

    def read_model(self, deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table: self.database.rows(
                f"SELECT t::text FROM celerytrail.{table} t WHERE service = %s ORDER BY 1",
                deployment.service,
            )
            for (table,) in self.database.rows("SELECT * FROM celerytrail.read_model_tables()")
        }


@contextmanager
def a_place(postgres: EmbeddedPostgres, name: str) -> Iterator[Place]:
    # Not at the top: pytest loads that module as a plugin, and rewrites its assertions only before it is imported.
    from tests.databases import MigratedDatabase

    postgres.create_database(name)
    try:
        migrate(postgres.dsn(name))
        database = MigratedDatabase(postgres, name, b"")
        database.rows("SELECT celerytrail.ensure_partitions(%s, current_date)", NOON.date())
        sinks = (
            Ledger(database.dsn("sink"), max_size=2, timeout_seconds=20),
            Ledger(database.dsn("sink"), max_size=2, timeout_seconds=20),
        )
        for sink in sinks:
            sink.open()
        try:
            yield Place(database, sinks)
        finally:
            for sink in sinks:
                sink.close()
    finally:
        postgres.drop_database(name)


@pytest.fixture
def places(postgres: EmbeddedPostgres, database: str) -> Iterator[tuple[Place, Place]]:
    """One place where everything arrives at once and in order, and one where it does not."""
    with a_place(postgres, f"{database}_a") as orderly, a_place(postgres, f"{database}_b") as wild:
        yield orderly, wild


BY_LEDGER = (
    "SELECT count(*) FROM (SELECT {columns} FROM celerytrail.{table} EXCEPT ALL"
    " SELECT {columns} FROM celerytrail.{table}_by_ledger(ARRAY['a', 'b'])) d"
)


def test_one_read_model_whatever_the_order(places: tuple[Place, Place]) -> None:
    orderly, wild = places
    services = (f"shop{number}" for number in itertools.count())

    @settings(
        max_examples=40,
        deadline=None,
        # Making an example smaller takes hundreds of them, each with transactions of its own.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        st.lists(st.one_of(task_events(), task_events(), other_events()), min_size=1, max_size=30),
        st.lists(purges(), max_size=3),
        st.data(),
    )
    def check(events: list[Event], purged: list[Purge], data: st.DataObject) -> None:
        # A deployment of its own for each example, so that nothing has to be emptied.
        deployment = Deployment("acme", next(services), "test")
        rows = rows_of(events, deployment)
        orderly.sinks[0].write_spans(orderly.token(deployment), rows)
        orderly.purge(purged, deployment)

        order = data.draw(st.permutations(rows), label="order")
        twice = data.draw(st.lists(st.sampled_from(rows), max_size=6), label="sent again")
        cuts = data.draw(st.lists(st.integers(1, len(rows)), max_size=5), label="cuts")
        purge_first = data.draw(st.booleans(), label="purged before anything arrived")
        arriving = [*order, *twice]
        edges = [0, *sorted(set(cuts)), len(arriving)]
        batches = [arriving[low:high] for low, high in pairwise(edges) if low < high]
        token = wild.token(deployment)
        if purge_first:
            wild.purge(purged, deployment)
        with ThreadPoolExecutor(2) as pool:
            for written in pool.map(
                lambda sink, own: [sink.write_spans(token, batch) for batch in own],
                wild.sinks,
                (batches[::2], batches[1::2]),
            ):
                assert sum(one.equivocations + one.refused for one in written) == 0
        if not purge_first:
            wild.purge(purged, deployment)
        assert wild.read_model(deployment) == orderly.read_model(deployment)

    check()
    for place in places:
        with place.database.connect() as connection:
            found = rebuild_read_model(connection, repair=False, rows_at_once=7)
        assert found.differences == ()
        for table in ("tasks", "runs"):
            columns = place.database.value(
                "SELECT string_agg(quote_ident(p), ', ') FROM pg_proc f, unnest(f.proargnames, f.proargmodes) AS a (p, m)"
                " WHERE f.oid = %s::regproc AND m = 't'",
                f"celerytrail.{table}_by_ledger",
            )
            assert place.database.value(BY_LEDGER.format(columns=columns, table=table)) == 0
