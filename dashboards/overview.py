"""The dashboard Overview: is it broken, and where to look."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders import timeseries as series_panel
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from celerytrail.dashboards.buttons import DEPLOYMENT, purge
from celerytrail.dashboards.columns import TIME, Column, buttons_column, key_column, state_column
from celerytrail.dashboards.dashboard import dashboard
from celerytrail.dashboards.links import (
    field,
    to_dashboard,
    to_page,
    to_task,
    to_tasks,
    to_workflow,
)
from celerytrail.dashboards.panels import plain, stat, steps, table, time_series
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import BAD, CALM, GOOD, STATE_COLOURS, WARNING
from celerytrail.dashboards.stuck_runs import stuck_runs
from celerytrail.dashboards.uids import AUDIT, OVERVIEW, WORKFLOW

_SPAN = 3
"""Eight numbers in the first row."""


def overview() -> Dashboard:
    """Return the dashboard."""
    made = dashboard(
        OVERVIEW,
        "Overview",
        description="Is it broken, and where to look. The variable State narrows lists, not ratios.",
    )
    for panel in (
        throughput(),
        failure_ratio(),
        queue_wait(),
        oldest_message(),
        workers(),
        workflows_failed(),
        events_missing(),
        chain_verified(),
        by_state(),
        wait_over_time(),
        failures_by_task(),
        slowest_tasks(),
        queues(),
        latest_failures(),
        stuck_runs(),
    ):
        made.with_panel(panel)
    return made


def throughput() -> stat_panel.Panel:
    """Return how many tasks end in a minute."""
    return stat(
        "Throughput",
        QueryFile("overview", "throughput"),
        description="Tasks that came to their end, per minute of the time range. Bad when it falls while queues grow.",
        unit="short",
        decimals=1,
        no_value="0",
        thresholds=plain(),
        span=_SPAN,
        link=to_tasks("List the tasks"),
    )


def failure_ratio() -> stat_panel.Panel:
    """Return the part of tasks that failed."""
    return stat(
        "Failure ratio",
        QueryFile("overview", "failure_ratio"),
        description=(
            "Part of the tasks ended in the time range that failed, were lost, rejected or expired. "
            "Revoked and purged tasks do not count. Bad from 1 %, worse from 5 %."
        ),
        unit="percentunit",
        decimals=1,
        no_value="No task ended",
        thresholds=steps(GOOD, (0.01, WARNING), (0.05, BAD)),
        span=_SPAN,
        link=to_tasks("List the failed tasks", state="failed"),
    )


def queue_wait() -> stat_panel.Panel:
    """Return how long messages wait."""
    return stat(
        "Queue wait p95",
        QueryFile("overview", "queue_wait"),
        description=(
            "95 of 100 tasks begun in the time range had waited less for a worker. Bad from 30 s, worse "
            "from 5 min: too few workers, or workers that hoard."
        ),
        unit="s",
        decimals=2,
        no_value="No task began",
        thresholds=steps(GOOD, (30, WARNING), (300, BAD)),
        span=_SPAN,
        link=to_tasks("List the tasks"),
    )


def oldest_message() -> stat_panel.Panel:
    """Return the age of what waits longest."""
    return stat(
        "Oldest message",
        QueryFile("overview", "oldest_message"),
        description=(
            "Age of the oldest task that is due and that no worker has begun, now, of those sent within seven "
            "days. Bad from 5 min, worse from 1 h: a queue that nobody consumes."
        ),
        unit="s",
        decimals=0,
        no_value="Nothing waits",
        thresholds=steps(GOOD, (300, WARNING), (3600, BAD)),
        span=_SPAN,
        link=to_tasks("List the tasks that wait", state="sent"),
    )


def workers() -> stat_panel.Panel:
    """Return how many workers consume, and how many only live."""
    return stat(
        "Workers",
        QueryFile("overview", "workers_consuming"),
        description=(
            "Workers with a heartbeat within 150 s. Stalled: alive, but without an event for 5 minutes although "
            "messages have waited longer than that in its queues. Bad when none consumes, or one is stalled."
        ),
        unit="none",
        no_value="No worker",
        thresholds=plain(),
        span=_SPAN,
        columns=[
            Column("consuming", "consuming", 0, unit="none", steps=steps(BAD, (1, GOOD))),
            Column("stalled", "stalled", 0, unit="none", steps=steps(GOOD, (1, BAD))),
        ],
    )


def workflows_failed() -> stat_panel.Panel:
    """Return how many workflows failed and wait for a person."""
    return stat(
        "Workflows failed",
        QueryFile("overview", "workflows_failed"),
        description=(
            "Chords, groups, chains and single tasks that failed, or whose body never ran, in the time range, and "
            "that nobody has retried or acknowledged; of the newest 200 of either kind. Bad from 1."
        ),
        unit="none",
        no_value="0",
        thresholds=steps(GOOD, (1, BAD)),
        span=_SPAN,
        mappings=[ValueMap({"200": ValueMappingResult(text="200+", color=BAD, index=0)})],
        link=to_dashboard(WORKFLOW, "Open the dashboard Workflow"),
    )


def events_missing() -> stat_panel.Panel:
    """Return how much of the record is missing."""
    return stat(
        "Events missing",
        QueryFile("overview", "events_missing"),
        description=(
            "Missing: numbered events that never arrived. Dropped: events that a process said it could not "
            "keep. What is shown may be wrong by as many. Bad from 1."
        ),
        unit="locale",
        no_value="0",
        thresholds=steps(GOOD, (1, BAD)),
        span=_SPAN,
        link=to_dashboard(AUDIT, "Show which"),
        columns=[
            Column("missing", "missing", 0, unit="locale", steps=steps(GOOD, (1, BAD))),
            Column("dropped", "dropped", 0, unit="locale", steps=steps(GOOD, (1, BAD))),
        ],
    )


def chain_verified() -> stat_panel.Panel:
    """Return how long ago the chain was found in order."""
    return stat(
        "Chain verified",
        QueryFile("overview", "chain_verified"),
        description=(
            "Time since every chain of the ledger was last verified; BROKEN when a row was found changed or a guard of "
            "the ledger altered, until a full verification finds all in order. Bad from 15 min, worse from 1 h."
        ),
        unit="s",
        decimals=0,
        no_value="Never verified",
        thresholds=steps(BAD, (0, GOOD), (900, WARNING), (3600, BAD)),
        span=_SPAN,
        mappings=[ValueMap({"-1": ValueMappingResult(text="BROKEN", color=BAD, index=0)})],
        link=to_dashboard(AUDIT, "Show the verifications"),
    )


def by_state() -> series_panel.Panel:
    """Return tasks over time by their state."""
    return time_series(
        "Tasks by state",
        QueryFile("overview", "by_state", format="time_series"),
        description=(
            "Tasks per minute, at the time of their last event, by the state they are in now. Bad when red "
            "grows, or blue does not turn green."
        ),
        unit="short",
        no_value="No task in this time range",
        span=12,
        bars=True,
        colours=STATE_COLOURS,
    )


def wait_over_time() -> series_panel.Panel:
    """Return wait and runtime over time."""
    return time_series(
        "Queue wait and runtime",
        QueryFile("overview", "wait_over_time", format="time_series"),
        description=(
            "By the moment a task began: how long its message had waited, and how long it ran. Bad when the "
            "wait grows and the runtime does not: too few workers."
        ),
        unit="s",
        no_value="No task began in this time range",
        span=12,
        thresholds=steps(GOOD, (30, WARNING), (300, BAD)),
        colours={"wait p50": "#8AB8FF", "wait p95": CALM, "runtime p95": WARNING},
    )


def failures_by_task() -> table_panel.Panel:
    """Return the tasks that fail most."""
    return table(
        "Failures by task",
        QueryFile("overview", "failures_by_task"),
        [
            Column(
                "task_name",
                "Task",
                220,
                links=[to_tasks("List these", task=field("task_name"), state="failed")],
            ),
            Column("failed", "Failed", 80, unit="locale", steps=steps(BAD)),
            Column("ratio", "Ratio", 80, unit="percentunit", steps=steps(WARNING, (0.05, BAD))),
            Column("newest", "Newest exception", 200),
            Column("last_failed", "Last failed", 155, unit=TIME),
        ],
        description="Tasks that failed in the time range, the most frequent first. Bad when a name is new here.",
        no_value="No task failed",
        span=12,
        height=8,
    )


def slowest_tasks() -> table_panel.Panel:
    """Return the tasks that run longest."""
    return table(
        "Slowest tasks",
        QueryFile("overview", "slowest_tasks"),
        [
            Column(
                "task_name", "Task", 260, links=[to_tasks("List these", task=field("task_name"))]
            ),
            Column("runs", "Runs", 90, unit="locale"),
            Column("p50", "p50", 110, unit="s"),
            Column("p95", "p95", 110, unit="s", steps=steps(GOOD, (60, WARNING), (600, BAD))),
            Column("longest", "Longest", 110, unit="s"),
        ],
        description="Runtimes of the tasks ended in the time range. Bad when p95 is far from p50, or has grown.",
        no_value="No task ended",
        span=12,
        height=8,
    )


def queues() -> table_panel.Panel:
    """Return what waits in which queue."""
    return table(
        "Queues",
        QueryFile("overview", "queues"),
        [
            Column(
                "queue",
                "Queue",
                130,
                links=[
                    to_tasks("List its tasks", queue=field("queue")),
                    to_page("Preview, then purge", "purge", *DEPLOYMENT, "queue"),
                ],
            ),
            Column("waiting", "Waiting", 80, unit="locale"),
            Column(
                "oldest", "Oldest", 95, unit="s", steps=steps(GOOD, (300, WARNING), (3600, BAD))
            ),
            Column("begun", "Begun", 80, unit="locale"),
            Column("wait_p95", "Wait p95", 90, unit="s"),
            *(key_column(name) for name in (*DEPLOYMENT, "seen_depth")),
            buttons_column([purge()], 80),
        ],
        description=(
            "Waiting and oldest: tasks due now that no worker has begun, sent within seven days. Begun and wait: "
            "in the time range, p95 to a twentieth. Bad when the oldest grows. Counted from events, not asked from the broker. Purge "
            "is for admins, and removes nothing when more waits by then than is shown."
        ),
        no_value="No queue was used",
        span=9,
        height=9,
    )


def latest_failures() -> table_panel.Panel:
    """Return the tasks that failed last."""
    return table(
        "Latest failures",
        QueryFile("overview", "latest_failures"),
        [
            Column("finished_at", "Time", 150, unit=TIME),
            Column("task_name", "Task", 170, links=[to_task()]),
            Column("task_id", "Id", 95, links=[to_task()]),
            state_column(width=90),
            Column("exception_class", "Exception", 135),
            Column("queue", "Queue", 115),
            Column("worker", "Worker", 105),
            Column("workflow_id", "Workflow", 95, links=[to_workflow()]),
        ],
        description="The 50 tasks that failed last in the time range. Open one, or the workflow it belongs to.",
        no_value="No task failed",
        span=15,
        height=9,
    )
