"""What every dashboard has: names, variables, the menu, the time range."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import Dashboard, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

from celerytrail.dashboards.links import menu
from celerytrail.dashboards.uids import TAG
from celerytrail.dashboards.variables import shared_variables


def dashboard(
    uid: str,
    title: str,
    *,
    description: str,
    since: str = "now-6h",
    refresh: str = "30s",
    typed: Sequence[TextBoxVariable] = (),
) -> Dashboard:
    """Return a dashboard without panels.

    ``typed`` are its own variables. They come before the shared ones, because they matter most.
    """
    made = (
        Dashboard(f"Celery / {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time(since, "now")
        .refresh(refresh)
        .link(menu())
    )
    for variable in (*typed, *shared_variables()):
        made.with_variable(variable)
    return made
