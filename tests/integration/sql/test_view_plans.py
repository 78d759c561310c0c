"""Views cost what is asked of them: no column that is not selected, no row that is not shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASKS = """
INSERT INTO celerytrail.tasks (
    namespace, service, environment, task_id, state, inferred, state_day, state_key, attempts,
    finished_at, updated_at, args_commitment, message_day
)
SELECT
    'acme', 'shop', 'test', 'task-' || i, (ARRAY['succeeded', 'failed', 'started', 'purged'])[1 + i % 4],
    false, current_date, int8send(i), 1, clock_timestamp() - i * interval '4 seconds',
    clock_timestamp() - i * interval '4 seconds', sha256(int8send(i)), current_date
FROM generate_series(1, 20000) AS i;
ANALYZE celerytrail.tasks;
"""


@pytest.fixture
def filled(migrated: MigratedDatabase) -> MigratedDatabase:
    """Twenty thousand tasks of the last day."""
    migrated.run(TASKS)
    return migrated


def plan(database: MigratedDatabase, query: str) -> str:
    with database.connect("grafana") as grafana:
        lines = grafana.execute(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {query}".encode()
        ).fetchall()
    return "\n".join(line for (line,) in lines)


@pytest.mark.parametrize(
    "where", ["state = 'failed' AND updated_at > now() - interval '1 day'", "updated_at > now() - interval '1 day'"]
)  # fmt: skip
def test_the_newest_of_all_columns_are_read_by_an_index_and_no_others(
    filled: MigratedDatabase, where: str
) -> None:
    shown = plan(
        filled,
        f"SELECT * FROM celerytrail_views.tasks WHERE {where} ORDER BY updated_at DESC LIMIT 200",
    )
    assert "Index Scan Backward using tasks_" in shown
    assert "Sort Key: t.updated_at" not in shown
    assert max(int(loops) for loops in re.findall(r"loops=(\d+)", shown)) == 200
    assert "Seq Scan on tasks" not in shown


def test_one_task_is_found_by_its_id(filled: MigratedDatabase) -> None:
    shown = plan(filled, "SELECT * FROM celerytrail_views.tasks WHERE task_id = 'task-7'")
    assert "tasks_pkey on tasks" in shown
    assert "Seq Scan on tasks" not in shown


def test_columns_that_are_not_selected_cost_nothing(filled: MigratedDatabase) -> None:
    for query in (
        "SELECT state, count(*) FROM celerytrail_views.tasks WHERE updated_at > now() - interval '1 day' GROUP BY state",
        "SELECT count(*) FROM celerytrail_views.tasks",
        "SELECT task_id, state, worker FROM celerytrail_views.tasks ORDER BY task_id LIMIT 5",
    ):
        shown = plan(filled, query)
        assert "SubPlan" not in shown
        assert "payloads" not in shown
    shown = plan(filled, "SELECT task_id, retried_as FROM celerytrail_views.tasks LIMIT 5")
    assert shown.count("SubPlan") == 1
    assert "task_actions" in shown
    for view in ("actions", "task_actions"):
        assert "reasons" not in plan(filled, f"SELECT actor, verb FROM celerytrail_views.{view}")
        assert "reasons" in plan(filled, f"SELECT reason FROM celerytrail_views.{view}")
