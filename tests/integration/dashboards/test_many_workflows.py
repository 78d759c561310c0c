"""Many failed workflows at once: the same rows as each for itself, whatever its tasks look like."""

from __future__ import annotations

import uuid
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

NOON = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(hours=1)
TASKS = tuple(f"t{number}" for number in range(8))
GROUPS = ("g0", "g1")
ENDED = ("succeeded", "ignored", "failed", "revoked", "aborted", "purged", "retried", "lost")
PLACES = st.sampled_from(("prod", "test"))
COLUMNS = """
    namespace, service, environment, workflow_id, kind, name, root_id, group_id, state, started_at, finished_at, updated_at,
    members, succeeded, failed, unfinished, culprit_task_id, culprit_task_name, culprit_exception_class, acknowledged,
    retried, needs_attention, headers, chord_body_id, trace_id
"""
times = st.none() | st.integers(0, 5).map(lambda number: NOON + timedelta(seconds=number))
some_task = st.none() | st.sampled_from(TASKS)
some_group = st.none() | st.sampled_from(GROUPS)


@dataclass(frozen=True)
class Task:
    """A row of the read model, as far as workflows are made of it."""

    environment: str
    task_id: str
    task_name: str | None
    state: str
    finished_at: datetime | None
    started_at: datetime | None
    updated_at: datetime | None
    root_id: str | None
    parent_id: str | None
    group_id: str | None
    root_group_id: str | None
    chain_length: int | None
    exception_class: str | None


tasks = st.builds(
    Task,
    PLACES,
    st.sampled_from(TASKS),
    st.sampled_from((None, "a", "b", "celery.chord_unlock")),
    st.sampled_from((*ENDED, "started", "failed", "failed")),
    times,
    times,
    times,
    some_task,
    some_task,
    some_group,
    some_group,
    st.sampled_from((None, None, 1, 3)),
    st.sampled_from((None, "ValueError", "celery.exceptions.ChordError")),
)
groups = st.tuples(
    PLACES, st.sampled_from(GROUPS), st.sampled_from((None, "group", "chord")), some_task
)
actions = st.tuples(
    PLACES,
    st.sampled_from(TASKS),
    st.sampled_from(("retry", "cancel", "terminate", "purge")),
    st.sampled_from(("intent", "outcome")),
    st.sampled_from((None, "sent", "failed")),
    some_task,
    st.integers(0, 5),
)


def put(
    connection: psycopg.Connection[Any],
    some_tasks: list[Task],
    some_groups: list[Any],
    some_actions: list[Any],
) -> None:
    names = [field.name for field in fields(Task)]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO celerytrail.tasks (namespace, service, inferred, state_day, state_key, attempts, {', '.join(names)})"
            f" VALUES ('acme', 'shop', false, now()::date, '', 0, {', '.join(['%s'] * len(names))})",
            [astuple(one) for one in some_tasks],
        )
        cursor.executemany(
            "INSERT INTO celerytrail.groups (namespace, service, environment, group_id, kind, chord_body_id)"
            " VALUES ('acme', 'shop', %s, %s, %s, %s)",
            some_groups,
        )
        cursor.executemany(
            "INSERT INTO celerytrail.task_actions (action_id, namespace, service, environment, task_id, verb, phase, result,"
            " new_task_id, action_time, actor) VALUES (%s, 'acme', 'shop', %s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s), 'ann')",
            [(uuid.uuid4(), *one) for one in some_actions],
        )


def rows(connection: psycopg.Connection[Any], view: str, condition: str, *given: Any) -> list[Any]:
    statement = f"SELECT {COLUMNS} FROM celerytrail_views.{view} WHERE {condition} ORDER BY namespace, service, environment, workflow_id"
    return connection.execute(statement.encode(), given).fetchall()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)  # fmt: skip
@given(
    some_tasks=st.lists(tasks, min_size=1, max_size=8, unique_by=lambda one: (one.environment, one.task_id)),
    some_groups=st.lists(groups, max_size=3, unique_by=lambda one: one[:2]),
    some_actions=st.lists(actions, max_size=4),
)  # fmt: skip
def test_many_are_what_each_is(
    migrated: MigratedDatabase,
    some_tasks: list[Task],
    some_groups: list[Any],
    some_actions: list[Any],
) -> None:
    with psycopg.connect(migrated.server.dsn(migrated.name)) as connection:
        put(connection, some_tasks, some_groups, some_actions)
        each = rows(connection, "workflows", "failed > 0")
        assert rows(connection, "failed_workflows", "true") == each
        ids = [row[3] for row in each][:2]
        asked = "workflow_id = ANY (%s)"
        assert rows(connection, "failed_workflows", asked, ids) == [
            row for row in each if row[3] in ids
        ]
        connection.rollback()


def test_the_cases_that_matter_occur(migrated: MigratedDatabase) -> None:
    """What the property would not tell: that some of it fails partly, is seen to, or is a chain."""
    more = {"task_name": "a", "started_at": None, "updated_at": NOON, "exception_class": None}

    def task(task_id: str, state: str, **columns: Any) -> Task:
        empty = dict.fromkeys(("root_id", "parent_id", "group_id", "root_group_id", "chain_length"))
        return Task("prod", task_id, state=state, finished_at=NOON, **{**more, **empty, **columns})

    with psycopg.connect(migrated.server.dsn(migrated.name)) as connection:
        put(
            connection,
            [
                task("h0", "failed", group_id="g", root_group_id="g", task_name="h"),
                task("h1", "succeeded", group_id="g", root_group_id="g", task_name="h"),
                task("b", "succeeded", root_group_id="g"),
                task("c0", "succeeded", chain_length=2),
                task("c1", "failed", root_id="c0", parent_id="c0"),
                task("r", "failed", exception_class="ValueError"),
                task("r2", "succeeded"),
                task("fine", "succeeded"),
            ],
            [("prod", "g", "chord", "b")],
            [("prod", "r", "retry", "outcome", "sent", "r2", 0)],
        )
        found = {row[3]: row for row in rows(connection, "failed_workflows", "true")}
        connection.rollback()
    assert set(found) == {"g", "c0", "r"}
    kinds = {name: (row[4], row[5], row[8], row[16], row[19:22]) for name, row in found.items()}
    assert kinds == {
        "g": ("chord", "h -> a", "partially failed", "h0", (False, False, True)),
        "c0": ("chain", "a", "failed", "c1", (False, False, True)),
        "r": ("task", "a", "failed", "r", (False, True, False)),
    }
