"""The critical path of workflows whose times were chosen, against what was worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.integration.dashboards.recorded_shop import RecordedShop
from tests.integration.dashboards.timed_tasks import TimedTasks, at

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

Step = tuple[str, float, float]
"""A task, and the seconds that it waited and ran on the path."""


@pytest.fixture
def tasks(migrated: MigratedDatabase, ledger: Ledger) -> TimedTasks:
    """An empty shop, to record workflows in."""
    return TimedTasks(RecordedShop(migrated, ledger))


def rows_of(tasks: TimedTasks, workflow_id: str) -> list[dict[str, Any]]:
    with psycopg.connect(tasks.shop.database.dsn("grafana"), row_factory=dict_row) as connection:
        return connection.execute(
            "SELECT * FROM celerytrail_views.critical_path WHERE workflow_id = %s ORDER BY place",
            [workflow_id],
        ).fetchall()


def path(tasks: TimedTasks, workflow_id: str) -> list[Step]:
    return [
        (row["task_id"], row["wait_us"] / 1e6, row["run_us"] / 1e6)
        for row in rows_of(tasks, workflow_id)
    ]


def test_a_chain_is_its_links(tasks: TimedTasks) -> None:
    chain = {"root_id": "a"}
    tasks.task("a", 0, 1, 4, chain_length=3, **chain)
    tasks.task("b", 4, 6, 7, parent_id="a", **chain)
    tasks.task("c", 7, 7.5, 10, parent_id="b", **chain)
    assert path(tasks, "a") == [("a", 1, 3), ("b", 2, 1), ("c", 0.5, 2.5)]
    rows = rows_of(tasks, "a")
    assert [row["share"] for row in rows] == pytest.approx([0.4, 0.3, 0.3])
    assert [row["place"] for row in rows] == [1, 2, 3]
    assert [row["reason"] for row in rows] == ["first", *["sent by the one before"] * 2]
    assert (rows[0]["entered_at"], rows[-1]["left_at"]) == (at(0), at(10))


def test_a_body_waits_for_the_header_that_ends_last(tasks: TimedTasks) -> None:
    chord = {"group_id": "g", "root_group_id": "g", "chord_body_id": "body"}
    tasks.group("g", kind="chord", size=2, chord_body_id="body")
    tasks.task("h0", 0, 1, 3, **chord)
    tasks.task("h1", 0.5, 5, 9, **chord)
    # Celery names the header that ended last as its parent.
    tasks.task("body", 9, 10, 12, root_group_id="g", parent_id="h1", root_id="h1")
    assert path(tasks, "g") == [("h1", 5, 4), ("body", 1, 2)]
    assert [row["reason"] for row in rows_of(tasks, "g")] == ["first", "all headers ended"]


def test_a_body_that_a_poll_sends_later_waits_from_the_end_of_the_headers(
    tasks: TimedTasks,
) -> None:
    chord = {"group_id": "g", "root_group_id": "g", "chord_body_id": "body"}
    tasks.task("h0", 0, 1, 3, **chord)
    tasks.task("h1", 0, 1, 2, **chord)
    tasks.task("poll", 0, 7, 8, root_group_id="g", task_name="celery.chord_unlock")
    tasks.task("body", 8, 9, 12, root_group_id="g", parent_id="poll", root_id="poll")
    assert path(tasks, "g") == [("h0", 1, 2), ("body", 6, 3)]


def test_a_group_is_the_member_that_ends_last(tasks: TimedTasks) -> None:
    group = {"group_id": "g", "root_group_id": "g"}
    tasks.task("m0", 0, 1, 2, **group)
    tasks.task("m1", 0, 3, 8, **group)
    tasks.task("m2", 0, 1, 4, **group)
    assert path(tasks, "g") == [("m1", 3, 5)]


def test_a_chord_in_a_chord_goes_through_both_barriers(tasks: TimedTasks) -> None:
    inner = {"group_id": "i", "root_group_id": "o", "chord_body_id": "inner"}
    outer = {"group_id": "o", "root_group_id": "o", "chord_body_id": "body"}
    tasks.group("o", kind="chord", size=2, chord_body_id="body")
    tasks.group("i", kind="chord", size=2, chord_body_id="inner", root_group_id="o")
    tasks.task("x0", 0, 1, 4, **inner)
    tasks.task("x1", 0, 1, 2, **inner)
    tasks.task("h", 0, 1, 6, **outer)
    tasks.task("inner", 4, 5, 9, parent_id="x0", **outer)
    tasks.task("body", 9, 9.5, 11, root_group_id="o", parent_id="inner")
    assert path(tasks, "o") == [("x0", 1, 3), ("inner", 1, 4), ("body", 0.5, 1.5)]


def test_a_chord_of_chains_goes_along_the_slowest_chain(tasks: TimedTasks) -> None:
    chord = {"group_id": "g", "root_group_id": "g", "chord_body_id": "body"}
    tasks.group("g", kind="chord", size=2, chord_body_id="body")
    tasks.task("a0", 0, 1, 2, root_id="a0", chain_length=2, **chord)
    tasks.task("a1", 2, 3, 9, root_id="a0", parent_id="a0", **chord)
    tasks.task("b0", 0, 1, 7, root_id="b0", chain_length=2, **chord)
    tasks.task("b1", 7, 7.5, 8, root_id="b0", parent_id="b0", **chord)
    tasks.task("body", 9, 10, 11, root_group_id="g", parent_id="a1", root_id="a0")
    assert path(tasks, "g") == [("a0", 1, 1), ("a1", 1, 6), ("body", 1, 1)]


def test_a_task_that_goes_on_after_it_sent_another_counts_until_then(tasks: TimedTasks) -> None:
    tasks.task("p", 0, 1, 10)
    tasks.task("c", 3, 4, 20, parent_id="p", root_id="p")
    assert path(tasks, "p") == [("p", 1, 2), ("c", 1, 16)]


def test_a_task_that_waits_for_another_is_all_of_it(tasks: TimedTasks) -> None:
    tasks.task("p", 0, 1, 30)
    tasks.task("c", 3, 4, 20, parent_id="p", root_id="p")
    assert path(tasks, "p") == [("p", 1, 29)]


def test_attempts_are_one_step(tasks: TimedTasks) -> None:
    tasks.task("t", 0, 1, 2, end="retried")
    tasks.task("t", 2, 12, 13, attempt=1)
    assert path(tasks, "t") == [("t", 11, 2)]


def test_a_message_that_ran_twice_at_once_ran_no_longer_than_the_clock(tasks: TimedTasks) -> None:
    tasks.task("t", 0, 1, 11)
    tasks.task("t", None, 2, 10, attempt=1)
    assert path(tasks, "t") == [("t", 1, 10)]


def test_a_task_that_a_chord_takes_the_place_of_comes_once(tasks: TimedTasks) -> None:
    inner = {"group_id": "g", "root_group_id": "g", "chord_body_id": "one", "parent_id": "one"}
    tasks.task("one", 0, 1, 3, end="ignored")
    tasks.task("r0", 2, 4, 5, root_id="one", **inner)
    tasks.task("r1", 2, 4, 6, root_id="one", **inner)
    tasks.task("one", 6, 7, 9, attempt=1, root_group_id="g")
    # Nothing before r1 is left to go back to; what was before it was sent is its wait.
    assert path(tasks, "g") == [("r1", 4, 2), ("one", 1, 2)]


def test_a_workflow_that_runs_is_the_longest_of_those_that_are_not_done(tasks: TimedTasks) -> None:
    chord = {"group_id": "g", "root_group_id": "g", "chord_body_id": "body"}
    tasks.task("h0", 0, 1, 3, **chord)
    tasks.task("h1", 0.5, 5, **chord)
    tasks.task("h2", 1, **chord)
    ((task_id, wait, run),) = path(tasks, "g")
    assert (task_id, wait) == ("h1", 5)
    assert run > 500


def test_nothing_of_another_workflow_or_deployment_is_on_it(tasks: TimedTasks) -> None:
    tasks.task("a", 0, 1, 2, chain_length=2)
    tasks.task("m", 2, 3, 4, parent_id="a", root_id="a", group_id="g", root_group_id="g")
    assert path(tasks, "g") == [("m", 1, 1)]
    assert path(tasks, "a") == [("a", 1, 1)]
    assert path(tasks, "o'brien") == []


def test_a_clock_that_is_behind_makes_no_step_negative(tasks: TimedTasks) -> None:
    tasks.task("a", 5, 6, 7, chain_length=2, root_id="a")
    tasks.task("b", 4, 4.5, 8, parent_id="a", root_id="a")
    steps = path(tasks, "a")
    assert [step[0] for step in steps] == ["a", "b"]
    assert all(wait >= 0 and run >= 0 for _, wait, run in steps)
    assert sum(row["share"] for row in rows_of(tasks, "a")) == pytest.approx(1)


MANY = """
INSERT INTO celerytrail.tasks (
    namespace, service, environment, task_id, task_name, state, inferred, state_day, state_key, attempts,
    first_sent_at, sent_at, started_at, finished_at, group_id, root_group_id, root_id, parent_id
)
SELECT
    'acme', 'shop', 'test', 'h' || i, 'shop.h', 'succeeded', false, current_date, int8send(i), 1,
    now(), now(), now() + i * interval '1 ms', now() + (i + 5) * interval '1 ms', 'g', 'g', 'h' || i, NULL
FROM generate_series(1, 10000) AS i
UNION ALL
SELECT
    'acme', 'shop', 'test', 'c' || i, 'shop.c', 'succeeded', false, current_date, int8send(i), 1,
    now() + i * interval '20 s', now() + i * interval '20 s', now(), now() + (i + 1) * interval '20 s',
    NULL, NULL, 'c1', CASE WHEN i > 1 THEN 'c' || i - 1 END
FROM generate_series(1, 1500) AS i;
ANALYZE celerytrail.tasks;
"""


def test_ten_thousand_members_and_a_chain_without_end_are_answered(tasks: TimedTasks) -> None:
    tasks.shop.database.run(MANY)
    assert [step[0] for step in path(tasks, "g")] == ["h10000"]
    steps = path(tasks, "c1")
    # The newest thousand links.
    assert (len(steps), steps[0][0], steps[-1][0]) == (1000, "c501", "c1500")
    with psycopg.connect(tasks.shop.database.dsn("grafana")) as connection:
        shown = "\n".join(
            line
            for (line,) in connection.execute(
                "EXPLAIN SELECT * FROM celerytrail_views.critical_path WHERE workflow_id = 'none'"
            )
        )
    assert "tasks_workflow" in shown
    assert "Seq Scan on tasks" not in shown
