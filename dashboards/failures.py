"""The dashboard Failures: what goes wrong, one row a kind of failure, and since when."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders import timeseries as series_panel
from grafana_foundation_sdk.builders.dashboard import Dashboard

from celerytrail.dashboards.buttons import DEPLOYMENT, TASK_BUTTONS
from celerytrail.dashboards.columns import TIME, Column, buttons_column, key_column, state_column
from celerytrail.dashboards.dashboard import dashboard
from celerytrail.dashboards.links import to_failures, to_task, to_workflow
from celerytrail.dashboards.panels import FULL_WIDTH, plain, stat, steps, table, time_series
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import BAD, GOOD, NEUTRAL, WARNING
from celerytrail.dashboards.uids import FAILURES
from celerytrail.dashboards.variables import text_box

TITLE_COUNTS = "Failures"


def failures() -> Dashboard:
    """Return the dashboard."""
    made = dashboard(
        FAILURES,
        "Failures",
        description=(
            "What goes wrong, one row a kind of failure: how often, since when, whom it hits, and the tasks that failed so."
        ),
        since="now-24h",
        typed=[
            text_box(
                "fingerprint",
                "Fingerprint",
                "Of one kind of failure: the link in the table of kinds fills it in. Empty: all kinds",
            )
        ],
    )
    for panel in (counts(), over_time(), kinds(), tasks()):
        made.with_panel(panel)
    return made


def counts() -> stat_panel.Panel:
    """Return how much failed and how much of it is new."""
    return stat(
        TITLE_COUNTS,
        QueryFile("failures", "counts"),
        description=(
            "Exceptions of tasks in the time range. Failed: the task ended with it. Retried: it was tried again. Kinds: "
            "different faults. New kinds: nobody saw them before the time range; bad from 1."
        ),
        unit="locale",
        no_value="0",
        thresholds=plain(),
        span=FULL_WIDTH,
        columns=[
            Column("failed", "failed", 0, unit="locale", steps=steps(GOOD, (1, BAD))),
            Column("retried", "retried", 0, unit="locale", steps=steps(GOOD, (1, WARNING))),
            Column("kinds", "kinds", 0, unit="locale", steps=plain()),
            Column("new kinds", "new kinds", 0, unit="locale", steps=steps(GOOD, (1, BAD))),
            Column("tasks", "tasks", 0, unit="locale", steps=plain()),
            Column("workflows", "workflows", 0, unit="locale", steps=plain()),
        ],
    )


def over_time() -> series_panel.Panel:
    """Return failures over time by their kind."""
    return time_series(
        "Failures over time",
        QueryFile("failures", "over_time", format="time_series"),
        description=(
            "Tasks that failed per minute, by the kind of failure: class and the beginning of its fingerprint. The ten most frequent, "
            "and all others. Bad when one grows, or begins with a deployment."
        ),
        unit="short",
        no_value="Nothing failed in this time range",
        span=FULL_WIDTH,
        height=7,
        bars=True,
        colours={"others": NEUTRAL},
    )


def kinds() -> table_panel.Panel:
    """Return the kinds of failures."""
    return table(
        "Kinds of failures",
        QueryFile("failures", "kinds"),
        [
            Column("exception_class", "Exception", 290),
            Column("task_name", "Task", 200),
            Column("failed", "Failed", 80, unit="locale", steps=steps(NEUTRAL, (1, BAD))),
            Column("retried", "Retried", 80, unit="locale", steps=steps(NEUTRAL, (1, WARNING))),
            Column("tasks", "Tasks hit", 85, unit="locale"),
            Column("workflows", "Workflows hit", 110, unit="locale"),
            Column("first_seen", "First seen", 160, unit=TIME),
            Column("novelty", "New", 75, colours={"new": BAD, "known": NEUTRAL}),
            Column("last_seen", "Last seen", 160, unit=TIME),
            Column("task_id", "Newest task", 140, links=[to_task(title="Open the newest task")]),
            Column("fingerprint", "Fingerprint", 150, links=[to_failures()]),
        ],
        description=(
            "One row a fault: the same exception class by the same way through your code, whatever it said and in whichever "
            "task. First seen: ever, in the deployments that are chosen; everything else within the time range. The 200 most "
            "frequent."
        ),
        no_value="Nothing failed in this time range",
        height=10,
    )


def tasks() -> table_panel.Panel:
    """Return the tasks that failed, with their buttons."""
    return table(
        "Tasks that failed so",
        QueryFile("failures", "tasks"),
        [
            Column("failed_at", "Failed", 155, unit=TIME),
            Column("task_name", "Task", 150),
            Column("task_id", "Id", 105, links=[to_task()]),
            state_column(width=90),
            Column("failures", "Failures", 70, unit="none", steps=steps(NEUTRAL, (2, WARNING))),
            Column("exception_class", "Exception", 140),
            Column("message", "Message", 170),
            Column("queue", "Queue", 80),
            Column("worker", "Worker", 110),
            Column("workflow_id", "Workflow", 105, links=[to_workflow()]),
            Column(
                "retried_as", "Retried as", 105, links=[to_task("retried_as", "Open the retry")]
            ),
            *(key_column(name) for name in DEPLOYMENT),
            buttons_column([button() for button in TASK_BUTTONS], 240),
        ],
        description=(
            "The tasks with such a failure in the time range, the newest first, as they stand now: one that was retried may have "
            "succeeded since. 200 at most. Messages are redacted before they leave their host."
        ),
        no_value="No task failed so in this time range",
        height=12,
    )
