"""The trail: the message header that says which send, trace, group and root group a message is of."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from celerytrail.exporter.spool.record import TRAIL

TRAIL_VERSION = 1


class Trail(NamedTuple):
    """The values of the header, in the order of ``record.TRAIL``."""

    version: int
    trace_id: str
    send_id: str
    sent_unix_nano: int
    parent_span_id: str
    group_id: str
    group_span_id: str
    root_group_id: str
    queue: str
    root_group_span_id: str


_KNOWN = len(TRAIL)
_FIRST_KNOWN = 9  # what the first release already wrote


def trail_values(header: Any) -> tuple[Any, ...] | None:
    """Return the values of a message header as a plain tuple, or None when we do not understand it.

    The header comes from a broker, so its types are checked. A newer version may have appended
    values; they are dropped.
    """
    if (type(header) is not list and type(header) is not tuple) or len(header) < _FIRST_KNOWN:
        return None
    values = (*header[:_KNOWN], "")[:_KNOWN]
    try:
        "".join((values[1], values[2], *values[4:]))  # the shortest way to see that all are text
    except TypeError:
        return None
    return values if type(values[0]) is int and type(values[3]) is int else None


def read_trail(header: Any) -> Trail | None:
    """Return the trail of a message header by name, or None as ``trail_values`` does."""
    values = trail_values(header)
    return None if values is None else Trail._make(values)


def derived_trace_id(root_id: str) -> str:
    """Return the trace id of a workflow whose messages carry no trail, by ``docs/design/identity.md``."""
    return hashlib.sha256(b"celerytrail/trace/v1\0" + root_id.encode()).hexdigest()[:32]
