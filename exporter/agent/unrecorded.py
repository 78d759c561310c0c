"""Messages whose publisher has no agent: what they say themselves of where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celerytrail.exporter.spool.traceparent import TRACEPARENT
from celerytrail.exporter.spool.trail import TRAIL_PREFIX


def is_trail(header: Any) -> bool:
    """Tell whether a message header looks like a trail; whether it is one, its reader finds out."""
    return type(header) is str and header.startswith(TRAIL_PREFIX)


def trace_of_unrecorded(headers: Mapping[str, Any]) -> str | None:
    """Return the ``traceparent`` that such a message carries, as it is, or None.

    It stands where the trail would: its ids are derived then, and its trace is its caller's.
    """
    text = headers.get(TRACEPARENT)
    return text if type(text) is str else None
