"""Puts the values of dashboard variables into a text, as Grafana does before a query is sent.

Known are `$name`, `${name}`, `${name:format}` and `[[name]]`. What names no variable stays as it is:
a macro (`$__timeFilter(...)`), a field of a row (`${__data.fields.task_id}`), a typing mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final, Literal

from celerytrail.dashboards.grafana_sql import formats
from celerytrail.dashboards.grafana_sql.errors import VariableError
from celerytrail.dashboards.grafana_sql.formats import Value, as_list

ALL: Final = "$__all"

_REFERENCE: Final = re.compile(
    r"\$(?P<plain>\w+)"
    r"|\[\[(?P<old>\w+)(?::(?P<old_format>\w+))?\]\]"
    r"|\$\{(?P<name>\w+)(?P<path>\.[^:{}]+)?(?::(?P<format>[^{}]+))?\}"
)


@dataclass(frozen=True, slots=True)
class Definition:
    """How the dashboard defines a variable, as far as it decides what is written into a text."""

    multi: bool = False
    include_all: bool = False
    all_value: str | None = None
    options: tuple[str, ...] = ()


_SINGLE: Final = Definition()


def substitute(
    text: str,
    values: Mapping[str, Value],
    *,
    definitions: Mapping[str, Definition] | None = None,
    scoped: Mapping[str, Value] | None = None,
    time_from: datetime | None = None,
    time_to: datetime | None = None,
    for_sql: bool = True,
) -> str:
    """Return the text with every reference to a variable replaced by its value.

    A value may be `ALL`, alone or as the only one of a list: then the definition's `all_value` stands
    in its place, unescaped and in any format, or else all options do. Without a format, SQL gets a
    single value with quotes doubled, and values of a variable with several or All each in quotes;
    any other text gets them as they are, several as {a,b}.

    Args:
        text: SQL, a title, an address.
        values: what is chosen, by the variable's name.
        definitions: of those variables; without one a variable is of the kind with one value.
        scoped: values that win over `values`, such as those of a repeated panel.
        time_from: what `${__from}` stands for; without it that reference stays.
        time_to: what `${__to}` stands for.
        for_sql: whether a reference without a format is written for SQL.

    Raises:
        VariableError: an unknown format, or All of a variable that has neither all_value nor options.
    """
    merged = {**values, **(scoped or {})}
    defined = definitions or {}
    times = {"__from": time_from, "__to": time_to}

    def replaced(match: re.Match[str]) -> str:
        name = match["plain"] or match["old"] or match["name"]
        format_name = match["format"] or match["old_format"]
        moment = times.get(name)
        if moment is not None:
            return _time(moment, format_name)
        if name not in merged or match["path"]:
            return match[0]
        definition = defined.get(name, _SINGLE)
        return _written(name, merged[name], format_name, definition, for_sql=for_sql)

    return _REFERENCE.sub(replaced, text)


def names_in(text: str) -> set[str]:
    """Return the names that a text refers to, those of Grafana's own (`__...`) included."""
    return {match["plain"] or match["old"] or match["name"] for match in _REFERENCE.finditer(text)}


def _written(
    name: str, value: Value, format_name: str | None, definition: Definition, *, for_sql: bool
) -> str:
    if as_list(value) == [ALL]:
        # The address bar and the word on the screen say All, whatever All stands for.
        if format_name == "queryparam":
            return formats.written(ALL, format_name, variable=name)
        if format_name == "text":
            return "All"
        if definition.all_value is not None:
            return definition.all_value
        if not definition.options:
            raise VariableError(f"variable {name!r} is All, and has neither options nor all_value")
        value = definition.options
    if format_name is not None:
        return formats.written(value, format_name, variable=name)
    if not for_sql:
        return formats.written(value, "glob", variable=name)
    if isinstance(value, str) and not (definition.multi or definition.include_all):
        return value.replace("'", "''")
    return formats.written(value, "sqlstring", variable=name)


def _time(moment: datetime, format_name: str | None) -> str:
    kind = _TIME_FORMATS.get(format_name or "raw")
    if kind is None:
        known = ", ".join(_TIME_FORMATS)
        raise VariableError(f"${{__from:{format_name}}}: the known formats are {known}")
    milliseconds = round(moment.timestamp() * 1000)
    if kind == "ms":
        return str(milliseconds)
    if kind == "seconds":
        return str(milliseconds // 1000)
    utc = moment.astimezone(timezone.utc)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


_TIME_FORMATS: Final[Mapping[str, Literal["ms", "seconds", "iso"]]] = {
    "raw": "ms",
    "date": "iso",
    "date:iso": "iso",
    "date:seconds": "seconds",
}
