"""Links between dashboards: they keep the time range and what is chosen in the variables."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

from celerytrail.dashboards.uids import FAILURES, PLUGIN, TAG, TASK, TASKS, WORKFLOW
from celerytrail.dashboards.variables import SHARED

Link = dict[str, object]


def menu() -> DashboardLink:
    """Return the list of the other dashboards, shown at the top right."""
    return (
        DashboardLink("Celery")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
        .icon("external link")
        .tooltip("The other dashboards, with this time range and these variables")
    )


def field(name: str) -> str:
    """Return the text that Grafana replaces by that column of the row, encoded for a URL."""
    return "${__data.fields." + name + ":percentencode}"


def to_dashboard(uid: str, title: str, values: Mapping[str, str] | None = None) -> Link:
    """Return a data link to a dashboard.

    ``values`` are variables to set there, as text that Grafana interpolates; the other shared
    variables and the time range go along as they are.
    """
    given = dict(values or {})
    kept = ["${" + name + ":queryparam}" for name in SHARED if name not in given]
    chosen = [f"var-{name}={value}" for name, value in given.items()]
    parameters = "&".join(["${__url_time_range}", *kept, *chosen])
    return {"title": title, "url": f"/d/{uid}?{parameters}", "targetBlank": False}


def to_task(column: str = "task_id", title: str = "Open the task") -> Link:
    """Return a link to the task whose id is in ``column``."""
    return to_dashboard(TASK, title, {"task_id": field(column)})


def to_workflow(column: str = "workflow_id", title: str = "Open the workflow") -> Link:
    """Return a link to the workflow whose id is in ``column``."""
    return to_dashboard(WORKFLOW, title, {"workflow_id": field(column)})


def to_failures(column: str = "fingerprint", title: str = "Show all that failed so") -> Link:
    """Return a link to the failures with the fingerprint in ``column``."""
    return to_dashboard(FAILURES, title, {"fingerprint": field(column)})


def to_tasks(title: str, **values: str) -> Link:
    """Return a link to the list of tasks with some of its variables set."""
    return to_dashboard(TASKS, title, values)


def to_page(title: str, page: str, *columns: str) -> Link:
    """Return a link to a page of the plugin, with these columns of the row as its parameters."""
    values = "&".join(f"{name}={field(name)}" for name in columns)
    return {"title": title, "url": f"/a/{PLUGIN}/{page}?{values}", "targetBlank": False}


def zoomed() -> Link:
    """Return a link to the same task with the time range of its life: columns zoom_from and zoom_to."""
    kept = "&".join("${" + name + ":queryparam}" for name in SHARED)
    chosen = f"var-task_id={field('task_id')}&from={field('zoom_from')}&to={field('zoom_to')}"
    return {
        "title": "Zoom to its time",
        "url": f"/d/{TASK}?{kept}&{chosen}",
        "targetBlank": False,
    }
