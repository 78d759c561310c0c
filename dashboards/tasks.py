"""The dashboard Tasks: find any task, open it, retry it, cancel it."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders.dashboard import Dashboard

from celerytrail.dashboards.buttons import DEPLOYMENT, TASK_BUTTONS
from celerytrail.dashboards.columns import TIME, Column, buttons_column, key_column, state_column
from celerytrail.dashboards.dashboard import dashboard
from celerytrail.dashboards.links import to_task, to_workflow
from celerytrail.dashboards.panels import FULL_WIDTH, plain, stat, table
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import NEUTRAL, STATE_COLOURS
from celerytrail.dashboards.uids import TASKS
from celerytrail.dashboards.variables import text_box


def tasks() -> Dashboard:
    """Return the dashboard."""
    search = text_box(
        "search",
        "Search",
        "Text in name, arguments, exception, or a whole task id. Arguments and exceptions are looked "
        "through for the time range and the day before it, names of the newest thousand tasks that the "
        "other variables choose; a task id is found however old it is.",
    )
    return (
        dashboard(
            TASKS,
            "Tasks",
            description="Find any task, open it, retry it, cancel it.",
            typed=[search],
        )
        .with_panel(counts())
        .with_panel(task_list())
    )


def counts() -> stat_panel.Panel:
    """Return how many tasks are in which state."""
    return stat(
        "Tasks by state",
        QueryFile("tasks", "counts"),
        description=(
            "Tasks with an event in the time range, by the state they are in now. Bad when failed or lost "
            "grows; waiting that only grows means too few workers."
        ),
        unit="locale",
        no_value="No tasks",
        thresholds=plain(),
        span=FULL_WIDTH,
        colours={
            "waiting": STATE_COLOURS["sent"],
            "started": STATE_COLOURS["started"],
            "retried": STATE_COLOURS["retried"],
            "succeeded": STATE_COLOURS["succeeded"],
            "failed": STATE_COLOURS["failed"],
            "lost or refused": STATE_COLOURS["lost"],
            "revoked or purged": NEUTRAL,
        },
    )


def task_list() -> table_panel.Panel:
    """Return the list of tasks, each with its buttons."""
    return table(
        "Newest tasks",
        QueryFile("tasks", "list"),
        [
            Column("updated_at", "Updated", 155, unit=TIME),
            Column("task_name", "Task", 175, links=[to_task()]),
            Column("task_id", "Id", 115, links=[to_task()]),
            state_column(),
            Column("queue", "Queue", 130),
            Column("worker", "Worker", 130),
            Column("attempts", "Attempts", 80, unit="none"),
            Column("queue_wait", "Waited", 80, unit="s"),
            Column("runtime", "Ran", 80, unit="s"),
            Column("exception_class", "Exception", 150),
            Column("workflow_id", "Workflow", 110, links=[to_workflow()]),
            *(key_column(name) for name in DEPLOYMENT),
            buttons_column([button() for button in TASK_BUTTONS], 225),
        ],
        description=(
            "The newest 200 tasks that the variables choose. Retry sends a task again under a new id; "
            "Cancel revokes one that has not begun; Terminate ends the process that runs it. Each asks "
            "first and is kept in the audit log. Grafana shows only whether the call went through: the "
            "result is on the dashboard Audit. The list reloads every 30 seconds."
        ),
        no_value="No task matches: choose a longer time range, or fewer conditions",
        height=24,
    )
