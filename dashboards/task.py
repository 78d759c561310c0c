"""The dashboard Task: everything about one task."""

from __future__ import annotations

from grafana_foundation_sdk.builders import logs as logs_panel
from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import statetimeline as timeline_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders.dashboard import Dashboard, Panel

from celerytrail.dashboards.buttons import DEPLOYMENT, TASK_BUTTONS, retry_chord
from celerytrail.dashboards.columns import TIME, Column, buttons_column, key_column, state_column
from celerytrail.dashboards.dashboard import dashboard
from celerytrail.dashboards.links import to_task, to_workflow, zoomed
from celerytrail.dashboards.panels import plain, stat, steps, table, text_lines, timeline, traces
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import (
    BAD,
    GOOD,
    NEUTRAL,
    PHASE_COLOURS,
    STATE_COLOURS,
    WARNING,
)
from celerytrail.dashboards.uids import TASK
from celerytrail.dashboards.variables import text_box

_ASK = "Put the id of a task into Task id above, or come from the dashboard Tasks"


def task() -> Dashboard:
    """Return the dashboard."""
    made = dashboard(
        TASK,
        "Task",
        description="One task: attempts, waits and runs, what it was given, what it raised, who did what to it.",
        typed=[text_box("task_id", "Task id", "The id of the task that is shown")],
        refresh="10s",
    )
    for panel in (
        summary(),
        details(),
        group(),
        runs(),
        run_timeline(),
        waterfall(),
        payload(),
        traceback(),
        actions(),
    ):
        made.with_panel(panel)
    return made


def summary() -> stat_panel.Panel:
    """Return the numbers of the task."""
    return stat(
        "Task",
        QueryFile("task", "summary"),
        description=(
            "State, attempts (sends), runs (executions), how long the newest message waited and ran, and the "
            "time from the first send to the end. More runs than attempts: a message was delivered twice."
        ),
        unit="string",
        no_value=_ASK,
        thresholds=plain(),
        span=24,
        columns=[
            Column("state", "state", 0, colours=STATE_COLOURS),
            Column("attempts", "attempts", 0, unit="none", steps=steps(GOOD, (2, WARNING))),
            Column("runs", "runs", 0, unit="none", steps=steps(GOOD, (2, WARNING))),
            Column("waited", "waited", 0, unit="s", steps=steps(GOOD, (30, WARNING), (300, BAD))),
            Column("ran", "ran", 0, unit="s", steps=plain()),
            Column("sent to end", "sent to end", 0, unit="s", steps=plain()),
        ],
    )


def details() -> table_panel.Panel:
    """Return what the task is, with its buttons."""
    return table(
        "What it is",
        QueryFile("task", "details"),
        [
            Column("task_name", "Task", 160),
            Column("task_id", "Id", 110, links=[to_task()]),
            state_column(width=90),
            Column("queue", "Queue", 120),
            Column("worker", "Worker", 115),
            Column("first_sent_at", "First sent", 155, unit=TIME),
            Column("eta", "ETA", 80, unit=TIME),
            Column("workflow_id", "Workflow", 100, links=[to_workflow()]),
            Column("parent_id", "Sent by", 90, links=[to_task("parent_id", "Open its parent")]),
            Column("retry_of", "Retry of", 90, links=[to_task("retry_of", "Open the original")]),
            Column("retried_as", "Retried as", 90, links=[to_task("retried_as", "Open the retry")]),
            Column("zoom", "Time range", 120, links=[zoomed()]),
            key_column("zoom_from"),
            key_column("zoom_to"),
            *(key_column(name) for name in DEPLOYMENT),
            buttons_column([button() for button in TASK_BUTTONS], 225),
        ],
        description=(
            "What the task is and what it belongs to. Retry sends it again under a new id; Cancel revokes it if it "
            "has not begun; Terminate ends the process that runs it. More than one row: another deployment has "
            "a task of that id; choose one above."
        ),
        no_value="No task has this id, in the deployments that are chosen",
        height=4,
    )


def group() -> table_panel.Panel:
    """Return the chord or group of the task, with its button."""
    return table(
        "Its chord or group",
        QueryFile("task", "group"),
        [
            Column("kind", "Kind", 90),
            Column("group_id", "Group", 250),
            Column("part", "The task is its", 140),
            Column("members", "Members seen", 140),
            Column("size", "Size", 80, unit="none"),
            Column("succeeded", "Succeeded", 100, unit="none", steps=steps(GOOD)),
            Column("failed", "Failed", 80, unit="none", steps=steps(NEUTRAL, (1, BAD))),
            Column("unfinished", "Unfinished", 100, unit="none"),
            Column("chord_body_id", "Body", 140, links=[to_task("chord_body_id", "Open the body")]),
            Column("workflow_id", "Workflow", 140, links=[to_workflow()]),
            *(key_column(name) for name in DEPLOYMENT),
            buttons_column([retry_chord()], 200),
        ],
        description=(
            "The group that the task is a member of, or the chord whose body it is. Retry whole chord sends all "
            "its members and the body again, under new ids, as one new chord."
        ),
        no_value="The task is in no group",
        height=4,
    )


def runs() -> table_panel.Panel:
    """Return every execution."""
    return table(
        "Runs",
        QueryFile("task", "runs"),
        [
            Column("attempt", "Attempt", 80, unit="none"),
            state_column(),
            Column("started_at", "Started", 152, unit=TIME),
            Column("queue_wait", "Waited", 90, unit="s"),
            Column("runtime", "Ran", 90, unit="s"),
            Column("finished_at", "Ended", 152, unit=TIME),
            Column("exception_class", "Exception", 190),
            Column("worker", "Worker", 115),
            Column("host", "Host", 85),
            Column("pid", "Process", 95),
            Column("queue", "Queue", 120),
            Column("told_by", "Reported by", 165),
            Column("run_id", "Run", 110),
        ],
        description=(
            "Every execution of every attempt. Two of one attempt: the broker delivered the message again, look at "
            "the visibility timeout. Reported by the main process: the child was killed."
        ),
        no_value="No worker has begun it",
        height=6,
    )


def run_timeline() -> timeline_panel.Panel:
    """Return waits and runs on the time axis."""
    return timeline(
        "Waits and runs",
        QueryFile("task", "timeline"),
        description=(
            "When each attempt waited and ran, within the time range of the dashboard: zoom to the task's time by "
            "the link in What it is. Long yellow: too few workers."
        ),
        no_value="No attempt in this time range",
        by="run",
        colours={**PHASE_COLOURS, **STATE_COLOURS},
        height=6,
    )


def waterfall() -> Panel:
    """Return the spans of the task."""
    return traces(
        "Waterfall",
        QueryFile("task", "trace"),
        description=(
            "The spans of this task: each attempt with its wait and its runs. The spans of its whole workflow "
            "are on the dashboard Workflow."
        ),
        no_value="No spans of this task",
        height=10,
    )


def payload() -> table_panel.Panel:
    """Return what the task was given, what it raised and what it returned."""
    return table(
        "Arguments, exception, result",
        QueryFile("task", "payload"),
        [
            Column("what", "What", 100),
            Column("content", "Content", 650, wraps=True),
        ],
        description=(
            "Arguments, exception and result of the newest attempt, redacted before they left their host. "
            "Results are kept only where the agent was told to. What was erased is named, with when and by whom."
        ),
        no_value="Nothing was captured",
        span=12,
        height=9,
    )


def traceback() -> logs_panel.Panel:
    """Return the traceback with its lines."""
    return text_lines(
        "Traceback",
        QueryFile("task", "traceback"),
        description="Traceback of the newest failure, redacted before it left its host.",
        no_value="No traceback was captured, or it was erased",
        span=12,
        height=9,
    )


def actions() -> table_panel.Panel:
    """Return who did what to the task."""
    return table(
        "Who did what to it",
        QueryFile("task", "actions"),
        [
            Column("action_time", "Time", 165, unit=TIME),
            Column("actor", "Who", 160),
            Column("verb", "What", 110),
            Column("phase", "Phase", 90),
            Column("result", "Result", 130),
            Column(
                "new_task_id", "New task", 260, links=[to_task("new_task_id", "Open the new task")]
            ),
            Column("reason", "Reason", 300),
            Column("intent_id", "Action", 280),
        ],
        description=(
            "Actions on this task, and actions that were refused. An intent without an outcome is under way, or its "
            "process died: the next one to look says unknown."
        ),
        no_value="Nobody has acted on it",
        height=6,
    )
