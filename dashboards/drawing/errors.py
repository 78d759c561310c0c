"""What keeps a dashboard from being drawn."""

from __future__ import annotations

from celerytrail.dashboards.errors import DashboardsError


class DrawingError(DashboardsError):
    """Something is missing on this machine, or in the dashboard's JSON something is unknown here."""


class QueryFailed(DrawingError):
    """A query of the dashboard cannot be run, or its answer does not fit the panel."""


class InstallFailed(DrawingError):
    """The packages that draw could not be installed."""
