"""The panel of runs that hang: the dashboard Overview shows it, and the alert rule leads to it."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table as table_panel

from celerytrail.dashboards.buttons import DEPLOYMENT, terminate
from celerytrail.dashboards.columns import TIME, Column, buttons_column, key_column
from celerytrail.dashboards.links import field, to_task, to_tasks
from celerytrail.dashboards.panels import FULL_WIDTH, steps, table
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import BAD, GOOD, NEUTRAL, WARNING

_WORKER_COLOURS = {"heard": GOOD, "silent": BAD, "never heard": NEUTRAL}


def stuck_runs() -> table_panel.Panel:
    """Return the runs that take far longer than usual."""
    return table(
        "Stuck runs",
        QueryFile("overview", "stuck_runs"),
        [
            Column("started_at", "Began", 155, unit=TIME),
            Column(
                "task_name",
                "Task",
                220,
                links=[
                    to_task(),
                    to_tasks("List those that run", task=field("task_name"), state="started"),
                ],
            ),
            Column("task_id", "Id", 130, links=[to_task()]),
            Column("running", "Runs for", 110, unit="s", steps=steps(WARNING, (3600, BAD))),
            Column("usual", "Usual", 100, unit="s"),
            Column("queue", "Queue", 130),
            Column("worker", "Worker", 150),
            Column("host", "Host", 130),
            Column("pid", "Pid", 85),
            Column("worker_is", "Worker is", 110, colours=_WORKER_COLOURS),
            *(key_column(name) for name in (*DEPLOYMENT, "state")),
            buttons_column([terminate()], 110),
        ],
        description=(
            "Runs that are open, now, whatever the time range, for more than three times what 99 of 100 of the last thousand "
            "good ones of that task took, and a minute at least. Usual: that time. A task with less than 20 good runs "
            "is not judged. Bad when the worker is heard: it hangs. Where it is silent the run may be lost."
        ),
        no_value="No run takes far longer than usual",
        span=FULL_WIDTH,
        height=7,
    )
