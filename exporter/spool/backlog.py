"""What waits in a spool directory: how much is not acknowledged, and since when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.directory import spool_usage
from celerytrail.exporter.spool.errors import SpoolDirectoryError, SpoolFormatError
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.segment import (
    ACK_SUFFIX,
    Frame,
    decode_record,
    parse_segment_name,
    read_frame,
    read_header,
)

_LOOK_BYTES = 64 * 1024
"""How much is read for a header or a record; where one is larger, the file's time stands in."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What lies in a spool directory, and what of it waits to be acknowledged.

    ``oldest_unix_nano`` is when the oldest record that waits happened, None where none waits.
    """

    segments: int
    bytes: int
    waiting_bytes: int
    oldest_unix_nano: int | None


def read_backlog(directory: Path) -> Backlog:
    """Look at the segments of a spool directory and at what is acknowledged of each.

    A directory that is not there is empty. Raises SpoolDirectoryError when it cannot be read.
    """
    usage = spool_usage(directory)
    waiting, oldest = 0, None
    for path in _segments(directory):
        try:
            found = _waiting(path)
        except FileNotFoundError:  # the shipper has just deleted it
            continue
        except OSError as exc:
            reason = exc.strerror or type(exc).__name__
            raise SpoolDirectoryError(f"{path}: {reason}; check who owns the spool") from exc
        if found is not None:
            waiting += found[0]
            oldest = found[1] if oldest is None else min(oldest, found[1])
    return Backlog(usage.segments, usage.bytes, waiting, oldest)


def _segments(directory: Path) -> Iterator[Path]:
    if directory.is_dir():
        yield from (path for path in directory.iterdir() if parse_segment_name(path.name))


def _waiting(path: Path) -> tuple[int, int] | None:
    # Returns the bytes that wait, and the time of the first record among them.
    cursor = Cursor.read(path.with_suffix(ACK_SUFFIX))
    with path.open("rb") as segment:
        state = os.fstat(segment.fileno())
        try:
            start = read_header(segment.read(_LOOK_BYTES))[1]
        except SpoolFormatError:
            return (state.st_size, state.st_mtime_ns) if state.st_size else None
        offset = max(start, cursor.offset if cursor else 0)
        if offset >= state.st_size:
            return None
        segment.seek(offset)
        frame = read_frame(segment.read(_LOOK_BYTES), 0)
    return state.st_size - offset, _time_of(frame) or state.st_mtime_ns


def _time_of(frame: Frame | None) -> int | None:
    try:
        return Record.from_tuple(decode_record(frame.payload)).time_unix_nano if frame else None
    except (SpoolFormatError, ValueError):
        return None
