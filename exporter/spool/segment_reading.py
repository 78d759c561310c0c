"""Reading on in one segment: its header first, then its records, until nobody writes it any more."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.errors import SpoolFormatError
from celerytrail.exporter.spool.followed_stream import FollowedSegment, FollowedStream
from celerytrail.exporter.spool.open_runs import OpenRuns
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.segment import MAGIC, SegmentHeader, read_header
from celerytrail.exporter.spool.segment_tail import is_locked, read_tail

_log = logging.getLogger(__name__)

_HEADER_BYTES = 256 * 1024
STRAY_LOCK_SECONDS = 5.0
"""How long a segment that has a successor may stay locked before it counts as left."""


class SegmentReading:
    """Reads the segments of a directory on; ``look_again`` is how it asks for new ones."""

    def __init__(
        self, look_again: Callable[[], None], files_log: PacedLog, clock: Callable[[], float]
    ) -> None:
        self.unreadable_records = 0
        self._look_again = look_again
        self._clock = clock
        self._files_log = files_log
        self._records_log = PacedLog(_log, clock=clock)

    def read_on(
        self, stream: FollowedStream, segment: FollowedSegment, max_records: int, max_bytes: int
    ) -> Chunk | None:
        """Return what is new in a segment, within the bounds, or None."""
        if segment.finished:
            return None
        # The lock is looked at before the size: what a writer wrote before it left is then seen.
        left = self._is_left(stream, segment)
        try:
            descriptor = os.open(segment.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as exc:
            self._files_log.say(
                logging.WARNING,
                "segment %s cannot be opened: %s",
                segment.path.name,
                exc.strerror,
            )
            return None
        try:
            size = os.fstat(descriptor).st_size
            header = segment.header or self._read_header(stream, segment, descriptor)
            if header is None:
                if left:
                    self._give_up(stream, segment, size)
                return None
            if segment.read >= size:
                segment.finished = left
                return None
            tail = read_tail(
                descriptor,
                segment.path.name,
                segment.read,
                size,
                left=left,
                max_records=max_records,
                max_bytes=max_bytes,
                log=self._records_log,
            )
        finally:
            os.close(descriptor)
        if tail.end == segment.read:
            return None
        self.unreadable_records += tail.unreadable
        return stream.follow(segment, header, tail)

    def _is_left(self, stream: FollowedStream, segment: FollowedSegment) -> bool:
        now = time.time_ns()
        if not is_locked(segment.path):
            # A writer locks the next segment before it leaves this one, so the next one is to be
            # seen now; without this look its stream would be taken for ended.
            if stream.is_newest(segment):
                self._look_again()
            return True
        if stream.is_newest(segment):
            stream.alive_unix_nano = now
            return False
        size = size_of(segment.path)
        if size != segment.seen_size:
            segment.seen_size, segment.quiet_since = size, self._clock()
            return False
        # The lock is inherited by a child that was forked past the agent's sight.
        return self._clock() - segment.quiet_since >= STRAY_LOCK_SECONDS

    def _read_header(
        self, stream: FollowedStream, segment: FollowedSegment, descriptor: int
    ) -> SegmentHeader | None:
        try:
            header, first = read_header(os.pread(descriptor, _HEADER_BYTES, 0))
        except SpoolFormatError as exc:
            # All segments of a stream say the same about it; what is unreadable here is a header.
            known = stream.header or _header_of_any(stream)
            if known is None:
                _log.debug("segment %s: %s", segment.path.name, exc)
                return None
            header, first = known, len(MAGIC)
        if segment.read > first and stream.must_recall:
            stream.must_recall = False
            self._recall(stream, segment, descriptor, first)
        segment.header = stream.header = header
        segment.read = max(segment.read, first)
        segment.acknowledged = max(segment.acknowledged, first)
        stream.last_seq = max(stream.last_seq, header.first_seq - 1)
        return header

    def _recall(
        self, stream: FollowedStream, segment: FollowedSegment, descriptor: int, first: int
    ) -> None:
        # The cursor remembers so many open runs and no more, on a full disk none; the ends of the
        # others lean on starts that are in this segment still.
        told = stream.open_runs.carried()
        stream.open_runs = OpenRuns()
        place = first
        while place < segment.read:
            tail = read_tail(
                descriptor,
                segment.path.name,
                place,
                segment.read,
                left=True,
                max_records=10_000,
                max_bytes=segment.read - place,
                log=self._records_log,
            )
            for item in tail.records:
                stream.open_runs.follow(item.record)
            if tail.end == place:
                break
            place = tail.end
        stream.open_runs.add(told)

    def _give_up(self, stream: FollowedStream, segment: FollowedSegment, size: int) -> None:
        # Without a header there is no telling whose records these are, and no secret to protect
        # their payloads with: they are counted, not shipped.
        _log.error(
            "segment %s has no readable header: its %d bytes are counted as torn",
            segment.path.name,
            size,
        )
        stream.torn_bytes += max(0, size - segment.read)
        segment.read = segment.acknowledged = size
        segment.finished = True


def _header_of_any(stream: FollowedStream) -> SegmentHeader | None:
    for segment in stream.in_order():
        with contextlib.suppress(OSError, SpoolFormatError), segment.path.open("rb") as file:
            return read_header(file.read(_HEADER_BYTES))[0]
    return None


def size_of(path: Path) -> int:
    """Return the bytes of a file, 0 where it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
