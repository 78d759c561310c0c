"""The variables that a dashboard's JSON defines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from celerytrail.dashboards.grafana_sql.errors import VariableError
from celerytrail.dashboards.grafana_sql.formats import Value
from celerytrail.dashboards.grafana_sql.variables import ALL, Definition


def variables_of(dashboard: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the variables of a dashboard, in the order in which it shows them."""
    return list(dashboard.get("templating", {}).get("list", []))


def definitions_of(dashboard: Mapping[str, Any]) -> dict[str, Definition]:
    """Return the definition of each variable; those of queries have no options yet."""
    return {variable["name"]: definition(variable) for variable in variables_of(dashboard)}


def definition(variable: Mapping[str, Any], options: Sequence[str] = ()) -> Definition:
    """Return how a variable is written into a text.

    ``options`` are the answers of a query variable; a custom variable brings its own.
    """
    if variable["type"] == "custom":
        listed = re.split(r"(?<!\\),", variable.get("query") or "")
        options = [one.replace("\\,", ",").strip() for one in listed if one.strip()]
        options = [one.partition(" : ")[2].strip() or one for one in options]
    return Definition(
        multi=bool(variable.get("multi")),
        include_all=bool(variable.get("includeAll")),
        all_value=variable.get("allValue") or None,
        options=tuple(options),
    )


def opening_value(variable: Mapping[str, Any], options: Sequence[str] = ()) -> Value:
    """Return the value that a variable has when the dashboard is opened.

    Raises:
        VariableError: a kind of variable that is not known here.
    """
    kind, current = variable["type"], variable.get("current", {}).get("value")
    if kind in ("textbox", "constant"):
        return str(current or variable.get("query") or "")
    if kind not in ("query", "custom"):
        raise VariableError(f"variable {variable['name']!r}: the kind {kind!r} is not known")
    if current not in (None, "", []):
        return current if isinstance(current, str) else [str(one) for one in current]
    if variable.get("includeAll"):
        return [ALL] if variable.get("multi") else ALL
    return options[0] if options else ""
