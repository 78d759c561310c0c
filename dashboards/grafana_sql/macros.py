"""Expands the macros of Grafana's Postgres data source, as that data source does.

In the order of Grafana: first `$__interval_ms`, `$__interval`, `$__unixEpochFrom()` and
`$__unixEpochTo()` wherever they stand, then comments are left out, then `$name(argument, ...)`.
An argument list ends at the first `)`, whatever it means to SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final, Literal

from celerytrail.dashboards.grafana_sql import intervals
from celerytrail.dashboards.grafana_sql.comments import without_comments
from celerytrail.dashboards.grafana_sql.errors import MacroError

_MACRO: Final = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Fill:
    """What stands at the times that the answer has no row for: nothing, the value before, a number."""

    step_ms: int
    by: Literal["null", "previous", "value"]
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Expanded:
    """SQL that Postgres understands, and how its answer is to be filled."""

    sql: str
    fill: Fill | None = None


def expand(sql: str, *, time_from: datetime, time_to: datetime, interval_ms: int = 1000) -> str:
    """Return the SQL with its macros expanded for a range of time.

    Raises:
        MacroError: an unknown macro, or wrong arguments.
        ValueError: a time without a time zone, or an interval below 1 ms.
    """
    return expand_with_fill(sql, time_from=time_from, time_to=time_to, interval_ms=interval_ms).sql


def expand_with_fill(
    sql: str, *, time_from: datetime, time_to: datetime, interval_ms: int = 1000
) -> Expanded:
    """Do as `expand`, and also return the fill that a `$__timeGroup` asks for as third argument."""
    if time_from.tzinfo is None or time_to.tzinfo is None:
        raise ValueError("the range of time needs a time zone at both ends")
    if interval_ms < 1:
        raise ValueError(f"an interval of {interval_ms} ms is no interval")
    macros = _Macros(time_from, time_to)
    text = sql.replace("$__interval_ms", str(interval_ms))
    text = text.replace("$__interval", intervals.written(interval_ms))
    text = text.replace("$__unixEpochFrom()", str(macros.epoch_from))
    text = text.replace("$__unixEpochTo()", str(macros.epoch_to))
    text = without_comments(text)
    expanded = _MACRO.sub(macros.evaluated, text)
    return Expanded(expanded, macros.fill)


def rfc3339(moment: datetime) -> str:
    """Write a time in UTC as RFC 3339 has it, without trailing zeros of its fraction."""
    utc = moment.astimezone(timezone.utc)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"


class _Macros:
    """The macros for one range of time; remembers the fill that one of them asked for."""

    def __init__(self, time_from: datetime, time_to: datetime) -> None:
        self.time_from = rfc3339(time_from)
        self.time_to = rfc3339(time_to)
        self.epoch_from = int(time_from.timestamp() // 1)
        self.epoch_to = int(time_to.timestamp() // 1)
        self.fill: Fill | None = None
        self._by_name: dict[str, Callable[[str, list[str]], str]] = {
            "__time": lambda name, a: f'{_column(name, a)} AS "time"',
            "__timeEpoch": lambda name, a: f'extract(epoch from {_column(name, a)}) as "time"',
            "__timeFilter": lambda name, a: (
                f"{_column(name, a)} BETWEEN '{self.time_from}' AND '{self.time_to}'"
            ),
            "__timeFrom": lambda name, a: f"'{self.time_from}'",
            "__timeTo": lambda name, a: f"'{self.time_to}'",
            "__timeGroup": self._time_group,
            "__timeGroupAlias": lambda name, a: f'{self._time_group(name, a)} AS "time"',
            "__unixEpochFilter": lambda name, a: (
                f"{_column(name, a)} >= {self.epoch_from} AND {_column(name, a)} <= {self.epoch_to}"
            ),
            "__unixEpochNanoFilter": lambda name, a: (
                f"{_column(name, a)} >= {self.epoch_from}000000000"
                f" AND {_column(name, a)} <= {self.epoch_to}000000000"
            ),
            "__unixEpochNanoFrom": lambda name, a: f"{self.epoch_from}000000000",
            "__unixEpochNanoTo": lambda name, a: f"{self.epoch_to}000000000",
            "__unixEpochGroup": self._epoch_group,
            "__unixEpochGroupAlias": lambda name, a: f'{self._epoch_group(name, a)} AS "time"',
        }

    def evaluated(self, match: re.Match[str]) -> str:
        """Return what stands in place of one macro."""
        name, arguments = match[1], [part.strip() for part in match[2].split(",")]
        # A query of an old format names the column itself; Grafana still knows it by the comma.
        if name == "__timeGroup" and match.string[match.end() : match.end() + 1] == ",":
            name = "__timeGroupAlias"
        expansion = self._by_name.get(name)
        if expansion is None:
            raise MacroError(f"unknown macro {name!r} in {match[0]!r}")
        return expansion(name, arguments)

    def _time_group(self, name: str, arguments: list[str]) -> str:
        seconds = self._group_seconds(name, arguments)
        return f"floor(extract(epoch from {arguments[0]})/{seconds})*{seconds}"

    def _epoch_group(self, name: str, arguments: list[str]) -> str:
        seconds = self._group_seconds(name, arguments)
        return f"floor(({arguments[0]})/{seconds})*{seconds}"

    def _group_seconds(self, name: str, arguments: list[str]) -> str:
        _column(name, arguments)
        if len(arguments) < 2:
            raise MacroError(f"macro {name} needs a time column and an interval")
        interval_ms = intervals.read_ms(arguments[1])
        if len(arguments) > 2:
            self.fill = _fill(name, interval_ms, arguments[2])
        whole, rest = divmod(interval_ms, 1000)
        return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)


def _column(name: str, arguments: list[str]) -> str:
    if not arguments[0]:
        raise MacroError(f"macro {name} needs a time column")
    return arguments[0]


def _fill(name: str, step_ms: int, text: str) -> Fill:
    if text == "NULL":
        return Fill(step_ms, "null")
    if text == "previous":
        return Fill(step_ms, "previous")
    try:
        return Fill(step_ms, "value", float(text))
    except ValueError:
        raise MacroError(
            f"macro {name} cannot fill with {text!r}: NULL, previous or a number"
        ) from None
