"""What can go wrong while dashboards are built."""

from __future__ import annotations


class DashboardsError(Exception):
    """Base of the errors of this component; the message says what to do."""


class QueryFileError(DashboardsError):
    """A .sql file is missing, empty, or includes one that is not there."""
