"""Answers of Postgres as the data frames that Grafana's Postgres data source makes of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from celerytrail.dashboards.drawing.errors import DrawingError

# Type numbers of Postgres.
_BOOLEAN: Final = {16}
_NUMBER: Final = {20, 21, 23, 26, 700, 701, 1700}
_TIME: Final = {1082, 1114, 1184}
_JSON: Final = {114, 3802}

_TIME_NAMES: Final = ("time", "timeend")
_MOMENT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:([+-])(\d\d)(?::?(\d\d))?)?"
)


@dataclass(frozen=True, slots=True)
class Field:
    """A column: a name, a type of Grafana's (time, number, string, boolean, other), and values.

    Times are milliseconds since 1970.
    """

    name: str
    type: str
    values: tuple[Any, ...]
    labels: dict[str, str] = field(default_factory=dict)


def field_of(name: str, oid: int, texts: Sequence[str | None]) -> Field:
    """Return a column by the type number of Postgres and the texts that it sent."""
    if oid in _BOOLEAN:
        return Field(name, "boolean", tuple(None if t is None else t == "t" for t in texts))
    if oid in _NUMBER:
        values = tuple(None if t is None else _number(t) for t in texts)
        if name in _TIME_NAMES:
            return Field(name, "time", tuple(None if v is None else _epoch_ms(v) for v in values))
        return Field(name, "number", values)
    if oid in _TIME:
        return Field(name, "time", tuple(None if t is None else _milliseconds(t) for t in texts))
    if oid in _JSON:
        return Field(name, "other", tuple(None if t is None else json.loads(t) for t in texts))
    return Field(name, "string", tuple(texts))


def wide(fields: Sequence[Field]) -> list[Field]:
    """Turn rows into series: the texts of a row become the labels of its numbers.

    Raises:
        DrawingError: no column `time`, a time that is null, or rows that are not sorted by it.
    """
    times = next((one for one in fields if one.name == "time" and one.type == "time"), None)
    if times is None:
        raise DrawingError("a time series needs a column named time")
    if any(moment is None for moment in times.values):
        raise DrawingError("a time series has no time in one of its rows")
    if any(a > b for a, b in zip(times.values, times.values[1:], strict=False)):
        raise DrawingError("a time series must be sorted by time, ascending")
    texts = [one for one in fields if one.type == "string"]
    numbers = [one for one in fields if one is not times and one.type != "string"]
    if not texts:
        return [times, *numbers]
    moments = sorted(set(times.values))
    row_of = {moment: row for row, moment in enumerate(moments)}
    series: dict[tuple[str, tuple[tuple[str, str], ...]], list[Any]] = {}
    for row, moment in enumerate(times.values):
        labels = tuple((one.name, one.values[row] or "") for one in texts)
        for number in numbers:
            values = series.setdefault((number.name, labels), [None] * len(moments))
            values[row_of[moment]] = number.values[row]
    found = [
        Field(name, "number", tuple(values), dict(labels))
        for (name, labels), values in sorted(series.items(), key=lambda item: item[0])
    ]
    if len(fields) == 3 and [one.name for one in texts] == ["metric"]:
        found = [replace(one, name=one.labels["metric"], labels={}) for one in found]
    return [replace(times, values=tuple(moments)), *found]


def as_json(fields: Sequence[Field], ref_id: str) -> dict[str, Any]:
    """Return a frame as the page reads it."""
    length = len(fields[0].values) if fields else 0
    return {
        "refId": ref_id,
        "length": length,
        "fields": [
            {"name": one.name, "type": one.type, "values": list(one.values)}
            | ({"labels": one.labels} if one.labels else {})
            for one in fields
        ],
    }


def _number(text: str) -> float | int | None:
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _epoch_ms(number: float) -> float:
    """Read a number named time by its size, as the data source does: s, ms or ns since 1970."""
    if abs(number) < 1e11:
        return number * 1000
    return number / 1e6 if abs(number) > 1e17 else number


def _milliseconds(text: str) -> float | None:
    match = _MOMENT.fullmatch(text)
    if match is None:  # infinity, or a year of five digits: neither has a place on an axis
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    moment += offset if match[8] == "-" else -offset
    milliseconds = moment.timestamp() * 1000 + int((match[7] or "0").ljust(6, "0")) / 1000
    return int(milliseconds) if milliseconds.is_integer() else milliseconds
