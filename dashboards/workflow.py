"""The dashboard Workflow: one group, chord, chain or task with all that came of it."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders.common import VizTextDisplayOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard

from celerytrail.dashboards.buttons import DEPLOYMENT, TASK_BUTTONS, retry_chord
from celerytrail.dashboards.columns import TIME, Column, buttons_column, key_column, state_column
from celerytrail.dashboards.dashboard import dashboard
from celerytrail.dashboards.links import Link, field, to_page, to_task, to_workflow
from celerytrail.dashboards.panels import plain, stat, steps, table
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import (
    BAD,
    CALM,
    GOOD,
    NEUTRAL,
    STATE_COLOURS,
    WARNING,
    WORKFLOW_COLOURS,
)
from celerytrail.dashboards.uids import WORKFLOW
from celerytrail.dashboards.variables import SHARED, text_box
from celerytrail.dashboards.workflow_course import (
    critical_path,
    culprit,
    culprit_payload,
    culprit_traceback,
    graph,
    waterfall,
)

_ASK = "Put the id of a workflow into Workflow id above, or come from another dashboard"

_NAMES_FIT = 18

TITLE_SUMMARY = "Workflow"
TITLE_GROUPS = "Its groups and chords"


def workflow() -> Dashboard:
    """Return the dashboard."""
    made = dashboard(
        WORKFLOW,
        "Workflow",
        description=(
            "One group, chord, chain or task with all that came of it: how it stands, what failed first, every member, "
            "the waterfall, the graph, who did what."
        ),
        typed=[
            text_box(
                "workflow_id",
                "Workflow id",
                "The id of the outermost group, or of the task that it began with",
            )
        ],
        refresh="10s",
    )
    for panel in (
        summary(),
        details(),
        culprit(),
        culprit_payload(),
        culprit_traceback(),
        groups(),
        members(),
        critical_path(),
        waterfall(),
        graph(),
        around(),
        actions(),
    ):
        made.with_panel(panel)
    return made


def summary() -> stat_panel.Panel:
    """Return the numbers of the workflow."""
    panel = stat(
        TITLE_SUMMARY,
        QueryFile("workflow", "summary"),
        description=(
            "How the workflow stands: its state, its tasks, those that failed or are not done, the longest wait in a "
            "queue, the time from the first send to the end, and the task that failed first. Body never ran: all "
            "headers of a chord ended well a minute ago, and nobody sent its body. Broken off: all tasks ended well a "
            "minute ago, and nobody sent the next link of a chain; a task that ends its chain on purpose looks the same."
        ),
        unit="string",
        no_value=_ASK,
        thresholds=plain(),
        span=24,
        columns=[
            Column("state", "state", 0, colours=WORKFLOW_COLOURS),
            Column("members", "tasks", 0, unit="locale", steps=plain()),
            Column("failed", "failed", 0, unit="locale", steps=steps(GOOD, (1, BAD))),
            Column("unfinished", "unfinished", 0, unit="locale", steps=steps(GOOD, (1, CALM))),
            Column(
                "longest wait",
                "longest wait",
                0,
                unit="s",
                steps=steps(GOOD, (30, WARNING), (300, BAD)),
            ),
            Column("duration", "duration", 0, unit="s", steps=plain()),
            Column("culprit", "failed first", 0, colours={"none": GOOD}),
        ],
    )
    # By itself the size would follow the numbers, and cut the name of a task.
    return panel.text(VizTextDisplayOptions().value_size(_NAMES_FIT))


def details() -> table_panel.Panel:
    """Return what the workflow is."""
    return table(
        "What it is",
        QueryFile("workflow", "details"),
        [
            Column("kind", "Kind", 80),
            Column("name", "Name", 250),
            Column("state", "State", 130, colours=WORKFLOW_COLOURS),
            Column("started_at", "Began", 155, unit=TIME),
            Column("finished_at", "Ended", 155, unit=TIME),
            Column("seen_by", "Failure seen to", 140, colours={"nobody": BAD, "retried": GOOD}),
            Column(
                "root_id",
                "Root task",
                110,
                links=[to_task("root_id", "Open the task that it began with")],
            ),
            Column("chord_body_id", "Body", 110, links=[to_task("chord_body_id", "Open the body")]),
            Column("workflow_id", "Workflow id", 140),
            Column("trace_id", "Trace id", 110),
            Column("zoom", "Time range", 130, links=[_zoomed()]),
            key_column("zoom_from"),
            key_column("zoom_to"),
        ],
        description=(
            "Kind, names of its tasks, when it began and ended. Failure seen to: every failed member was retried, and the "
            "retry did not fail, or was ended by an operator; nobody: it is alerted on. More than one row: several "
            "deployments have tasks of it; choose one above."
        ),
        no_value="No workflow has this id, in the deployments that are chosen",
        height=4,
    )


def groups() -> table_panel.Panel:
    """Return the groups and chords, with their button."""
    return table(
        TITLE_GROUPS,
        QueryFile("workflow", "groups"),
        [
            Column("kind", "Kind", 80),
            Column("group_id", "Group", 280),
            Column("members", "Members seen", 120),
            Column("size", "Size", 80, unit="none"),
            Column("succeeded", "Succeeded", 100, unit="locale", steps=steps(GOOD)),
            Column("failed", "Failed", 80, unit="locale", steps=steps(NEUTRAL, (1, BAD))),
            Column("unfinished", "Unfinished", 100, unit="locale"),
            Column(
                "body_state",
                "Body is",
                110,
                colours={**STATE_COLOURS, "never sent": BAD, "not known": NEUTRAL},
            ),
            Column("chord_body_id", "Body", 140, links=[to_task("chord_body_id", "Open the body")]),
            Column(
                "preview",
                "Look first",
                140,
                links=[to_page("Preview, then retry", "retry-chord", *DEPLOYMENT, "group_id")],
            ),
            *(key_column(name) for name in DEPLOYMENT),
            buttons_column([retry_chord()], 180),
        ],
        description=(
            "Every group and chord in it. Retry whole chord sends all members and the body again, under new ids, as one new "
            "chord; the API refuses when there are more members by then than are shown. Look first opens a page that "
            "shows what would be sent. Body never sent, with every member done: the body never ran."
        ),
        no_value="No group in it: a chain, or a task",
        height=5,
    )


def members() -> table_panel.Panel:
    """Return the tasks, with their buttons."""
    return table(
        "Members",
        QueryFile("workflow", "members"),
        [
            Column("role", "Role", 70),
            Column("index", "Index", 60, unit="none"),
            Column("task_name", "Task", 150),
            Column("task_id", "Id", 110, links=[to_task()]),
            state_column(width=85),
            Column("attempts", "Attempts", 70, unit="none", steps=steps(NEUTRAL, (2, WARNING))),
            Column("queue_wait", "Waited", 80, unit="s"),
            Column("runtime", "Ran", 75, unit="s"),
            Column("exception_class", "Exception", 140),
            Column("queue", "Queue", 85),
            Column("worker", "Worker", 110),
            Column("first_sent_at", "First sent", 155, unit=TIME),
            Column(
                "retried_as", "Retried as", 105, links=[to_task("retried_as", "Open the retry")]
            ),
            *(key_column(name) for name in DEPLOYMENT),
            buttons_column([button() for button in TASK_BUTTONS], 240),
        ],
        description=(
            "The tasks that belong to it, failures first, then in the order of sending; 500 at most, by the variables above. "
            "Header: member of a group. Body: what a chord runs at the end. Link: of a chain. Child: sent by another "
            "member. Nested groups repeat the index."
        ),
        no_value="No task of it, in what is chosen above",
        height=11,
    )


def around() -> table_panel.Panel:
    """Return the chain that the workflow is part of."""
    return table(
        "The chain it is part of",
        QueryFile("workflow", "around"),
        [
            Column("place", "Place", 70),
            Column("task_name", "Task", 250),
            Column("task_id", "Id", 300, links=[to_task()]),
            Column("state", "State", 110, colours=STATE_COLOURS),
            Column("sent_at", "Sent", 160, unit=TIME),
            Column("finished_at", "Ended", 160, unit=TIME),
            Column("workflow_id", "Workflow", 300, links=[to_workflow()]),
        ],
        description=(
            "Before: the workflow that began this one. Link, body: its own. After: what went on from it under an id of its "
            "own, such as a group behind a task. A link that is not here was never sent: the one before it failed."
        ),
        no_value="It stands alone",
        height=6,
    )


def actions() -> table_panel.Panel:
    """Return who did what to the workflow."""
    return table(
        "Who did what to it",
        QueryFile("workflow", "actions"),
        [
            Column("action_time", "Time", 160, unit=TIME),
            Column("actor", "Who", 150),
            Column("verb", "What", 90),
            Column("phase", "Phase", 80),
            Column("result", "Result", 120),
            Column("tasks", "Tasks", 65, unit="none"),
            Column("task_id", "Task", 150, links=[to_task()]),
            Column("new_task_id", "New task", 150, links=[to_task("new_task_id", "Open it")]),
            Column("reason", "Reason", 300),
            Column("intent_id", "Action", 150),
        ],
        description=(
            "Actions on its tasks and chords, refused ones too: intent before, outcome after. An intent without an outcome is "
            "under way, or its process died: then the next one to look says unknown."
        ),
        no_value="Nobody has acted on it",
        height=6,
    )


def _zoomed() -> Link:
    kept = "&".join("${" + name + ":queryparam}" for name in SHARED)
    chosen = (
        f"var-workflow_id={field('workflow_id')}&from={field('zoom_from')}&to={field('zoom_to')}"
    )
    return {
        "title": "Zoom to its time",
        "url": f"/d/{WORKFLOW}?{kept}&{chosen}",
        "targetBlank": False,
    }
