"""How one segment stands, seen from outside: for whoever only looks, and changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.errors import SpoolDirectoryError, SpoolFormatError
from celerytrail.exporter.spool.segment import (
    ACK_SUFFIX,
    FRAME_HEAD,
    MAX_PAYLOAD_BYTES,
    SegmentHeader,
    decode_record,
    parse_segment_name,
    read_frame,
    read_header,
)

_USUAL_HEADER_BYTES = 4096
_HEADER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class SegmentState:
    """A segment file as it was at one moment.

    ``acknowledged`` is the offset up to which the shipper has delivered it. ``header`` is None
    where it cannot be read, and ``first_record`` the offset after it.
    """

    path: Path
    stream_id: str
    number: int
    bytes: int
    modified_unix_nano: int
    acknowledged: int
    header: SegmentHeader | None
    first_record: int

    @property
    def waiting_bytes(self) -> int:
        """Return how many bytes of it are not delivered."""
        return max(0, self.bytes - max(self.acknowledged, self.first_record))


def list_segments(directory: Path) -> list[tuple[str, int, Path]]:
    """Return stream, number and path of each segment in a spool directory, in order.

    Raises SpoolDirectoryError when the directory is not there or cannot be read.
    """
    try:
        names = os.listdir(directory)
    except OSError as exc:
        raise SpoolDirectoryError(
            f"spool directory {directory} cannot be read: {exc.strerror}"
        ) from exc
    found = ((parse_segment_name(name), name) for name in names)
    return sorted((*parsed, directory / name) for parsed, name in found if parsed is not None)


def look_at(path: Path, stream_id: str, number: int) -> SegmentState | None:
    """Return how a segment stands, None when it is gone, or cannot be opened."""
    # The cursor first: the shipper moves it after the bytes are there, and deletes it last.
    cursor = Cursor.read(path.with_suffix(ACK_SUFFIX))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        header, first = _read_header(descriptor)
    finally:
        os.close(descriptor)
    acknowledged = 0 if cursor is None else cursor.offset
    return SegmentState(
        path, stream_id, number, found.st_size, found.st_mtime_ns, acknowledged, header, first
    )


def _read_header(descriptor: int) -> tuple[SegmentHeader | None, int]:
    for length in (_USUAL_HEADER_BYTES, _HEADER_BYTES):
        try:
            return read_header(os.pread(descriptor, length, 0))
        except SpoolFormatError:
            continue
    return None, 0


def time_of_record(path: Path, offset: int) -> int | None:
    """Return the time of the record that begins at ``offset``; None when no whole one does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        head = os.pread(descriptor, FRAME_HEAD.size, offset)
        if len(head) < FRAME_HEAD.size:
            return None
        size = int(FRAME_HEAD.unpack(head)[0])
        if size > MAX_PAYLOAD_BYTES:
            return None
        frame = read_frame(head + os.pread(descriptor, size, offset + len(head)), 0)
    finally:
        os.close(descriptor)
    if frame is None:
        return None
    try:
        values = decode_record(frame.payload)
    except SpoolFormatError:
        return None
    return values[2] if len(values) > 2 and type(values[2]) is int else None
