"""The ways in which Grafana writes the value of a variable into a text: `${name:format}`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from celerytrail.dashboards.grafana_sql.errors import VariableError

Value = str | Sequence[str]


def as_list(value: Value) -> list[str]:
    """Return the values of a variable, also when it has just one."""
    return [value] if isinstance(value, str) else list(value)


def sql_quoted(value: str) -> str:
    """Write one value as a string of SQL, quotes within it doubled."""
    return "'" + value.replace("'", "''") + "'"


def written(value: Value, format_name: str, *, variable: str) -> str:
    """Write a value in a named format.

    Raises:
        VariableError: Grafana has no such format, or this function does not know it.
    """
    formatter = _FORMATS.get(format_name)
    if formatter is None:
        known = ", ".join(sorted(_FORMATS))
        raise VariableError(f"${{{variable}:{format_name}}}: the known formats are {known}")
    return formatter(value, variable)


def percent_encoded(value: str) -> str:
    """Encode a value for a URL: letters, digits and - _ . ~ stay, every other byte is encoded."""
    return quote(value, safe="")


def _glob(value: Value, _: str) -> str:
    values = as_list(value)
    return values[0] if len(values) == 1 else "{" + ",".join(values) + "}"


def _csv(value: Value, _: str) -> str:
    return ",".join(as_list(value))


def _pipe(value: Value, _: str) -> str:
    return "|".join(as_list(value))


def _sqlstring(value: Value, _: str) -> str:
    return ",".join(sql_quoted(one) for one in as_list(value))


def _singlequote(value: Value, _: str) -> str:
    return ",".join("'" + one.replace("'", "\\'") + "'" for one in as_list(value))


def _doublequote(value: Value, _: str) -> str:
    return ",".join('"' + one.replace('"', '\\"') + '"' for one in as_list(value))


def _json(value: Value, _: str) -> str:
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)


def _regex(value: Value, _: str) -> str:
    escaped = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", one) for one in as_list(value)]
    return escaped[0] if len(escaped) == 1 else "(" + "|".join(escaped) + ")"


def _percentencode(value: Value, _: str) -> str:
    return percent_encoded(",".join(as_list(value)))


def _queryparam(value: Value, variable: str) -> str:
    name = percent_encoded(variable)
    return "&".join(f"var-{name}={percent_encoded(one)}" for one in as_list(value))


def _text(value: Value, _: str) -> str:
    return " + ".join(as_list(value))


_FORMATS: Final[Mapping[str, Callable[[Value, str], str]]] = {
    "csv": _csv,
    "doublequote": _doublequote,
    "glob": _glob,
    "json": _json,
    "percentencode": _percentencode,
    "pipe": _pipe,
    "queryparam": _queryparam,
    "raw": _csv,
    "regex": _regex,
    "singlequote": _singlequote,
    "sqlstring": _sqlstring,
    "text": _text,
}
