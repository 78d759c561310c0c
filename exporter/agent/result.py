"""A task's return value, copied so that nothing of the application runs and the size is bounded."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

MAX_VALUES = 1_000
"""Values that are kept of a result, over all of its levels."""

MAX_TEXT = 16 * 1024
MAX_DEPTH = 16

_KEPT = frozenset((type(None), bool, int, float))
# Their text is made by Python itself, at a known price.
_AS_TEXT = frozenset(
    (
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        uuid.UUID,
    )
)
_CUT = "... [cut here]"


def result_value(value: Any) -> Any:
    """Copy a return value: what is built in, and the class of anything else.

    An object's ``__str__`` is never called. It may be a query that is sent when somebody looks at
    it, and this runs in the task's process, while the task is still counted as running.
    """
    return _Copy().of(value, 0)


class _Copy:
    def __init__(self) -> None:
        self._left = MAX_VALUES

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        kind = type(value)
        if kind in _KEPT:
            return value if kind is not int or value.bit_length() <= 4096 else "<int>"
        if kind is str:
            return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + _CUT
        if kind in _AS_TEXT:
            return str(value)
        if kind in (bytes, bytearray):
            return f"<{len(value)} bytes>"
        if kind in (dict, list, tuple, set, frozenset):
            if depth >= MAX_DEPTH:
                return f"<{kind.__name__}: nested too deep>"
            return self._mapping(value, depth) if kind is dict else self._sequence(value, depth)
        return f"<{kind.__module__}.{kind.__qualname__}>"

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        for key, item in value.items():
            if self._left <= 0:
                copied[_CUT] = len(value)
                break
            name = self.of(key, MAX_DEPTH)
            copied[name if type(name) is str else str(name)] = self.of(item, depth + 1)
        return copied

    def _sequence(self, value: Any, depth: int) -> list[Any]:
        copied = []
        for item in value:
            if self._left <= 0:
                copied.append(_CUT)
                break
            copied.append(self.of(item, depth + 1))
        return copied
