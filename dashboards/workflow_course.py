"""How a workflow went, as panels: what failed first, what took the time, what followed what."""

from __future__ import annotations

from grafana_foundation_sdk.builders import logs as logs_panel
from grafana_foundation_sdk.builders import nodegraph
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders.dashboard import Panel

from celerytrail.dashboards.buttons import DEPLOYMENT, TASK_BUTTONS
from celerytrail.dashboards.columns import TIME, Column, buttons_column, key_column, state_column
from celerytrail.dashboards.links import to_failures, to_task
from celerytrail.dashboards.node_graph import node_graph
from celerytrail.dashboards.panels import steps, table, text_lines, traces
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import BAD, CALM, GOOD, NEUTRAL, WARNING


def culprit() -> table_panel.Panel:
    """Return the task that failed first."""
    return table(
        "What failed first",
        QueryFile("workflow", "culprit"),
        [
            Column("task_name", "Task", 150),
            Column("task_id", "Id", 110, links=[to_task()]),
            state_column(width=80),
            Column("exception_class", "Exception", 150),
            Column("message", "Message", 200),
            Column("queue", "Queue", 90),
            Column("worker", "Worker", 130),
            Column("finished_at", "Ended", 160, unit=TIME),
            Column(
                "retried_as", "Retried as", 110, links=[to_task("retried_as", "Open the retry")]
            ),
            Column("fingerprint", "Others like it", 120, links=[to_failures()]),
            *(key_column(name) for name in DEPLOYMENT),
            buttons_column([button() for button in TASK_BUTTONS], 240),
        ],
        description=(
            "The culprit: the earliest failure that is not the consequence of another. A chord's body is never it while a "
            "header failed, nor a task whose child failed before it; what an operator ended only where nothing else failed."
        ),
        no_value="Nothing in it has failed",
        height=4,
    )


def culprit_payload() -> table_panel.Panel:
    """Return what the task that failed first raised, and what it was given."""
    return table(
        "Its exception and arguments",
        QueryFile("workflow", "payload"),
        [
            Column("what", "What", 100),
            Column("content", "Content", 640, wraps=True),
        ],
        description=(
            "What the culprit raised and what it was given, redacted before it left its host. What was erased is "
            "named. Nothing here although something failed: not captured."
        ),
        no_value="Nothing in it has failed, or nothing was captured",
        span=12,
        height=8,
    )


def culprit_traceback() -> logs_panel.Panel:
    """Return the traceback of the task that failed first."""
    return text_lines(
        "Its traceback",
        QueryFile("workflow", "traceback"),
        description="Traceback of the culprit, redacted before it left its host.",
        no_value="Nothing in it has failed, or no traceback was captured",
        span=12,
        height=8,
    )


def critical_path() -> table_panel.Panel:
    """Return the tasks that the duration of the workflow is made of."""
    return table(
        "Critical path",
        QueryFile("workflow", "critical_path"),
        [
            Column("place", "Step", 55, unit="none"),
            Column("task_name", "Task", 200),
            Column("task_id", "Id", 130, links=[to_task()]),
            state_column(width=85),
            Column("reason", "Began when", 170),
            Column("waited", "Waited", 90, unit="s"),
            Column("ran", "Ran", 90, unit="s"),
            Column(
                "share",
                "Share",
                80,
                unit="percentunit",
                steps=steps(NEUTRAL, (0.25, WARNING), (0.5, BAD)),
            ),
            Column("attempts", "Attempts", 80, unit="none", steps=steps(NEUTRAL, (2, WARNING))),
            Column("queue", "Queue", 110),
            Column("worker", "Worker", 150),
            Column("entered_at", "From", 160, unit=TIME),
        ],
        description=(
            "The tasks that made it take as long as it took, one after the other: making any other faster changes nothing. Before "
            "the body of a chord stands the header that ended last, before every other task the one that sent it. Waited: to be "
            "sent, for its time to come, in a queue, between attempts. The last 500 steps."
        ),
        no_value="No such workflow, in the deployments that are chosen",
        height=7,
    )


def waterfall() -> Panel:
    """Return the spans of the workflow under one root."""
    return traces(
        "Waterfall",
        QueryFile("workflow", "waterfall"),
        description=(
            "Every send, wait and run under one root. Waits are bars of their own: long ones mean too few workers. Attempts of a "
            "task stand side by side; the body refers to its headers. The first 2,000 bars, of workflows of up to "
            "2,000 tasks."
        ),
        no_value="No spans: no such workflow, or one of more than 2,000 tasks",
        height=15,
    )


def graph() -> nodegraph.Panel:
    """Return what followed what."""
    return node_graph(
        "What followed what",
        "workflow",
        description=(
            "Groups and tasks, each with a ring in the colour of its end. Of more than 60 tasks those of one name and one end "
            "are one node."
        ),
        no_value="No such workflow, in the deployments that are chosen",
        arcs={"succeeded": GOOD, "failed": BAD, "unfinished": CALM},
        links=[to_task("detail__task_id")],
        span=24,
        height=12,
    )
