"""What is known of a stream that has come to its end."""

from __future__ import annotations

from dataclasses import dataclass

from celerytrail.exporter.spool.open_runs import OpenRun
from celerytrail.exporter.spool.segment import SegmentHeader


@dataclass(frozen=True, slots=True)
class EndedStream:
    """A stream that nobody writes any more and that is acknowledged to its end.

    ``header`` is None when not one of its segments had a readable header. ``open_runs`` are those
    whose end it did not tell; ``alive_unix_nano`` is when its writer was last seen alive, 0 when it
    never was.
    """

    stream_id: str
    header: SegmentHeader | None
    last_seq: int
    torn_bytes: int
    closed: bool
    open_runs: tuple[OpenRun, ...] = ()
    alive_unix_nano: int = 0
