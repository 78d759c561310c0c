"""What can be wrong with the text of a query before Postgres sees it."""

from __future__ import annotations

from celerytrail.dashboards.errors import DashboardsError


class MacroError(DashboardsError):
    """A macro is unknown to Grafana's Postgres data source, or its arguments are wrong."""


class VariableError(DashboardsError):
    """A variable cannot be put into a text: no such format, or All of a variable without options."""
