"""OTLP's AnyValue as plain JSON values, bounded in depth."""

from __future__ import annotations

import base64
import json
import math
from typing import TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

MAX_DEPTH = 16
"""Nesting of arrays and maps that is kept; what is deeper becomes null and the row is marked."""

Plain: TypeAlias = "str | bool | int | float | list[Plain] | dict[str, Plain] | None"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class Cut:
    """Remembers whether something was left out."""

    __slots__ = ("happened",)

    def __init__(self) -> None:
        self.happened = False


def plain(value: AnyValue, cut: Cut, depth: int = 1) -> Plain:
    """Return an AnyValue as a JSON value: bytes as base64, NaN and infinities as their names.

    ``cut`` is told when something nested deeper than ``MAX_DEPTH`` was left out.
    """
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return value.int_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "double_value":
        number = value.double_value
        return number if math.isfinite(number) else str(number)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode("ascii")
    if kind in ("array_value", "kvlist_value"):
        if depth >= MAX_DEPTH:
            cut.happened = True
            return None
        if kind == "array_value":
            return [plain(item, cut, depth + 1) for item in value.array_value.values]
        return {item.key: plain(item.value, cut, depth + 1) for item in value.kvlist_value.values}
    return None


def compact_json(value: dict[str, Plain]) -> str:
    """Return a JSON object without spaces, in the order of its keys, as UTF-8 text."""
    return _encode(value)


def has_nul(text: str, value: Plain) -> bool:
    """Return whether a value holds a NUL character, which Postgres stores in no text.

    ``text`` is the value's JSON: the escape is looked for there first, since it nearly never occurs.
    """
    return "\\u0000" in text and _holds_nul(value)


def _holds_nul(value: Plain) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(_holds_nul(item) for item in value)
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(item) for key, item in value.items())
    return False
