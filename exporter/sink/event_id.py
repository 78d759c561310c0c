"""The id of an event, computed from what the capture fixed; see docs/design/identity.md."""

from __future__ import annotations

import hashlib
import uuid
from datetime import date, datetime, timedelta, timezone

from celerytrail.exporter.attributes import DAY_AFTER_ALL, DAY_BEFORE_ALL

EVENT_DOMAIN = b"celerytrail/event/v1\0"
DAYS_BACK = 32
DAYS_AHEAD = 2

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class StreamHash:
    """The part of an event id's hash that all events of one stream share."""

    __slots__ = ("_state",)

    def __init__(self, deployment_label: str, stream_id: uuid.UUID) -> None:
        self._state = hashlib.sha256(
            EVENT_DOMAIN + deployment_label.encode() + b"\0" + stream_id.bytes
        )

    def event_id(self, event_unix_nano: int, seq: int) -> uuid.UUID:
        """Return the id: 6 bytes of event time in milliseconds, then 10 bytes of the hash."""
        state = self._state.copy()
        state.update(seq.to_bytes(8, "big"))
        milliseconds = event_unix_nano // 1_000_000
        return uuid.UUID(bytes=milliseconds.to_bytes(6, "big") + state.digest()[:10])


def event_time(event_unix_nano: int) -> datetime:
    """Return nanoseconds since 1970 as a UTC datetime, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=event_unix_nano // 1000)


class DayWindow:
    """The days that have partitions of their own, seen from one moment."""

    __slots__ = ("_first", "_last")

    def __init__(self, now_unix_nano: int) -> None:
        today = event_time(now_unix_nano).date()
        self._first = today - timedelta(days=DAYS_BACK)
        self._last = today + timedelta(days=DAYS_AHEAD)

    def day(self, time: datetime) -> date | str:
        """Return the UTC day of a time, or the name of a catch-all when it is outside the window."""
        day = time.date()
        if day < self._first:
            return DAY_BEFORE_ALL
        if day > self._last:
            return DAY_AFTER_ALL
        return day
