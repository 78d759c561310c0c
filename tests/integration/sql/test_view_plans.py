"""Views cost what is asked of them: no column that is not selected, no row that is not shown."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from celerytrail.dashboards.grafana_sql.macros import expand
from celerytrail.dashboards.grafana_sql.templating import definitions_of
from celerytrail.dashboards.grafana_sql.variables import substitute
from tests.grafana.data_source import dashboard, defaults, panel

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASKS = """
INSERT INTO celerytrail.tasks (
    namespace, service, environment, task_id, state, inferred, state_day, state_key, attempts,
    finished_at, updated_at, args_commitment, message_day, task_name, queue, worker, root_id
)
SELECT
    'acme', 'shop', 'test', 'task-' || i, (ARRAY['succeeded', 'failed', 'started', 'purged'])[1 + i % 4],
    false, current_date, int8send(i), 1, clock_timestamp() - i * interval '4 seconds',
    clock_timestamp() - i * interval '4 seconds', sha256(int8send(i)), current_date,
    'shop.task_' || i % 50, 'queue-' || i % 7, 'celery@worker-' || i % 11, 'task-' || i
FROM generate_series(1, 20000) AS i;
INSERT INTO celerytrail.searchable
SELECT
    m.event_time, t.state_day, t.namespace, t.service, t.environment, t.task_id, 'args', t.args_commitment,
    '["ord-' || t.task_id || '", "a text that all have"]'
FROM celerytrail.tasks t
-- A tenth is of the last day, the rest of three days before that, six, nine ...
CROSS JOIN LATERAL (SELECT t.updated_at - get_byte(t.state_key, 7) % 10 * interval '3 days') AS m (event_time)
ORDER BY m.event_time;
ANALYZE celerytrail.tasks, celerytrail.searchable;
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


@pytest.mark.parametrize(
    ("index", "query"),
    [
        ("tasks_finished", "SELECT sum(runtime_us) FROM celerytrail_views.tasks WHERE finished_at > now() - interval '5 minutes'"),
        ("tasks_finished", "SELECT max(finished_at) FROM celerytrail_views.tasks"),
        ("tasks_worker", "SELECT * FROM celerytrail_views.tasks WHERE worker = 'nobody''s' ORDER BY updated_at DESC LIMIT 9"),
        ("tasks_worker", "SELECT task_id FROM celerytrail_views.tasks WHERE worker IN ('nobody''s', 'nobody''s own')"),
    ],
)  # fmt: skip
def test_an_index_that_leaves_out_what_is_not_known_answers(
    filled: MigratedDatabase, index: str, query: str
) -> None:
    shown = plan(filled, query)
    assert re.search(rf"Scan .*{index}\b", shown), shown
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


def asked(uid: str, title: str, hours: float = 1, **values: str | list[str]) -> str:
    """The panel's query as Grafana sends it for the last hours."""
    opened = dashboard(uid)
    text = panel(opened, title)["targets"][0]["rawSql"]
    until = datetime.now(timezone.utc)
    return expand(
        substitute(text, {**defaults(opened), **values}, definitions=definitions_of(opened)),
        time_from=until - timedelta(hours=hours),
        time_to=until,
        interval_ms=60_000,
    )


def removed(shown: str) -> int:
    """How many rows were read for nothing, at most by one part of the plan."""
    return max([0, *(int(rows) for rows in re.findall(r"Rows Removed by Filter: (\d+)", shown))])


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"service": "shop"},
        {"service": "nothing"},
        {"task": "shop.task_3"},
        {"task": ["shop.task_3", "shop.task_4"]},
        {"queue": "queue-3"},
        {"worker": "celery@worker-3"},
        {"state": "failed"},
        {"state": ["failed", "lost"]},
        {"task": "shop.task_3", "state": "failed", "queue": "queue-3"},
        {"search": "task-77"},
        {"search": "ord-task-777"},
        {"search": "text that all have"},
        {"search": "text that all have", "queue": "queue-3"},
    ],
    ids=lambda chosen: "+".join(f"{name}={value}" for name, value in chosen.items()) or "all",
)
def test_no_filter_of_the_list_reads_every_task(
    filled: MigratedDatabase, chosen: dict[str, str | list[str]]
) -> None:
    shown = plan(filled, asked("celerytrail-tasks", "Newest tasks", **chosen))
    assert "Seq Scan on tasks" not in shown
    assert "Seq Scan on searchable" not in shown
    # Nine hundred tasks are of the last hour; of the day before it two thousand excerpts are looked at.
    assert removed(shown) <= (3000 if "search" in chosen else 900)


@pytest.mark.parametrize(
    ("uid", "title"),
    [
        ("celerytrail-task", "Runs"),
        ("celerytrail-task", "What it is"),
        ("celerytrail-task", "Waits and runs"),
        ("celerytrail-task", "Arguments, exception, result"),
        ("celerytrail-workflow", "Members"),
        ("celerytrail-workflow", "What it is"),
        ("celerytrail-workflow", "Waterfall"),
    ],
)
def test_one_task_or_workflow_is_reached_by_its_id(
    filled: MigratedDatabase, uid: str, title: str
) -> None:
    shown = plan(filled, asked(uid, title, 24, task_id="task-77", workflow_id="task-77"))
    assert "Seq Scan on tasks" not in shown
    assert removed(shown) <= 50


READ = """
SELECT
    (SELECT coalesce(sum(s.seq_tup_read), 0) FROM pg_stat_xact_all_tables s WHERE s.schemaname = 'celerytrail'),
    ARRAY(
        SELECT c.relname::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '^spans_'
    )
"""
"""What a transaction read one after the other, and which partitions of spans it planned for: a planner locks them."""


@pytest.mark.parametrize(
    ("uid", "title"),
    [
        ("celerytrail-task", "Waterfall"),
        ("celerytrail-workflow", "Members"),
        ("celerytrail-workflow", "What it is"),
        ("celerytrail-workflow", "Waterfall"),
    ],
)
def test_a_task_or_workflow_is_planned_for_its_own_days(
    filled: MigratedDatabase, uid: str, title: str
) -> None:
    filled.run("SELECT celerytrail.ensure_partitions(current_date - 30, current_date + 3)")
    # What a function asks is in no plan of the panel, so the transaction tells.
    query = asked(uid, title, 24, task_id="task-77", workflow_id="task-77")
    with filled.connect("grafana") as grafana:
        grafana.autocommit = False
        grafana.execute(query.encode())
        row = grafana.execute(READ.encode()).fetchone()
    assert row is not None
    one_after_the_other, partitions = row
    # The horizon, and the names of steps.
    assert one_after_the_other < 100
    # Its day with those beside it, and the two of impossible clocks.
    assert len(partitions) <= 5
    if title != "What it is":
        assert partitions


@pytest.mark.parametrize("variable", ["service", "queue", "worker", "task"])
def test_the_newest_of_a_rare_one_are_found_without_reading_the_others(
    filled: MigratedDatabase, variable: str
) -> None:
    shown = plan(
        filled, asked("celerytrail-tasks", "Newest tasks", 24, **{variable: "nobody's own"})
    )
    assert "Seq Scan on tasks" not in shown
    assert removed(shown) == 0
