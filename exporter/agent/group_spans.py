"""The spans of groups: minted once a group, and remembered for the members that follow."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import NamedTuple

MAX_GROUPS = 4096


class GroupSpan(NamedTuple):
    """The span of one group, in hex."""

    trace_id: str
    span_id: str


class GroupSpans:
    """Which span each group has; the groups not seen for longest are forgotten first."""

    def __init__(self, limit: int = MAX_GROUPS) -> None:
        self._limit = limit
        self._spans: OrderedDict[str, GroupSpan] = OrderedDict()

    def get(self, group_id: str) -> GroupSpan | None:
        """Return the span of a group, or None when this process has not minted it."""
        found = self._spans.get(group_id)
        if found is not None:
            with suppress(KeyError):  # another thread made room meanwhile
                self._spans.move_to_end(group_id)
        return found

    def claim(self, group_id: str, span: GroupSpan) -> GroupSpan:
        """Return the span of a group, which becomes ``span`` when it had none.

        Of two threads that claim at once, both get the same.
        """
        kept = self._spans.setdefault(group_id, span)
        if len(self._spans) > self._limit:
            with suppress(KeyError):  # another thread made room first
                self._spans.popitem(last=False)
        return kept

    def __len__(self) -> int:
        return len(self._spans)
