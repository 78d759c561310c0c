"""The variables: the same ones in the same order on every dashboard, so that links carry them over."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from celerytrail.dashboards.postgres_query import data_source
from celerytrail.dashboards.sql_files import sql_text
from celerytrail.dashboards.state_colours import STATE_COLOURS

SHARED = ("namespace", "service", "environment", "queue", "task", "worker", "state")
"""The variables that every dashboard has, in this order."""

ALL_VALUE = "'$__all'"
"""What stands for All in a query. Grafana inserts it as it is, whatever the format of the variable, so it
brings its own quotes."""

_DESCRIPTIONS = {
    "namespace": "service.namespace of the deployment; (none) where it has none",
    "service": "service.name of the deployment",
    "environment": "deployment.environment.name of the deployment; (none) where it has none",
    "queue": "Queue that the task was sent to",
    "task": "Name of the task",
    "worker": "Node name of the worker that had the task last",
}


def shared_variables() -> list[QueryVariable | CustomVariable]:
    """Return the variables of every dashboard: several values may be chosen, All is the default."""
    return [*(_query(name) for name in SHARED if name != "state"), _state()]


def text_box(name: str, label: str, description: str) -> TextBoxVariable:
    """Return a variable that a person types."""
    return (
        TextBoxVariable(name)
        .label(label)
        .description(description)
        .default_value("")
        .current(VariableOption(selected=True, text="", value=""))
    )


def _everything() -> VariableOption:
    return VariableOption(selected=True, text=["All"], value=["$__all"])


def _query(name: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .description(_DESCRIPTIONS[name])
        .datasource(data_source())
        .query(sql_text("variables", name))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(ALL_VALUE)
        .current(_everything())
    )


def _state() -> CustomVariable:
    return (
        CustomVariable("state")
        .label("State")
        .description("Where the task stands")
        .values(",".join(STATE_COLOURS))
        .options(
            [
                VariableOption(selected=True, text="All", value="$__all"),
                *(VariableOption(selected=False, text=s, value=s) for s in STATE_COLOURS),
            ]
        )
        .multi(True)
        .include_all(True)
        .all_value(ALL_VALUE)
        .current(_everything())
    )
