"""Reading a spool directory: every record once and in order, a cursor of what is acknowledged.

The reader hands out chunks: some records of one segment, and the place in it up to which they
reach. A chunk that is acknowledged moves the segment's cursor (the ``.ack`` file); one that is not
is read again by the next reader. Segments are deleted when their writer is gone from them and
everything in them is acknowledged.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.errors import SpoolDirectoryError, SpoolFormatError
from celerytrail.exporter.spool.open_runs import MAX_CARRIED, OpenRun, OpenRuns
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.segment import (
    ACK_SUFFIX,
    MAGIC,
    WRAP_SUFFIX,
    SegmentHeader,
    parse_segment_name,
    read_header,
)
from celerytrail.exporter.spool.segment_tail import SpooledRecord, is_locked, read_tail

_log = logging.getLogger(__name__)

_GOODBYE = "stream_closed"
_HEADER_BYTES = 256 * 1024
STRAY_LOCK_SECONDS = 5.0
"""How long a segment that has a successor may stay locked before it counts as left."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one segment that follow each other, to be acknowledged together.

    ``end`` is the offset in the segment up to which the chunk reaches. ``last_seq``, ``torn_bytes``,
    ``closed`` and ``open_runs`` say where the whole stream stands at that offset.
    """

    path: Path
    header: SegmentHeader
    records: tuple[SpooledRecord, ...]
    end: int
    last_seq: int
    torn_bytes: int
    closed: bool
    open_runs: tuple[OpenRun, ...]


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


@dataclass(slots=True)
class _Segment:
    path: Path
    number: int
    header: SegmentHeader | None = None
    read: int = 0
    acknowledged: int = 0
    finished: bool = False
    seen_size: int = -1
    quiet_since: float = 0.0


@dataclass(slots=True)
class _Stream:
    stream_id: str
    segments: dict[int, _Segment] = field(default_factory=dict)
    header: SegmentHeader | None = None
    last_seq: int = 0
    torn_bytes: int = 0
    closed: bool = False
    acknowledged_seq: int = 0
    open_runs: OpenRuns = field(default_factory=OpenRuns)
    alive_unix_nano: int = 0
    must_recall: bool = False
    recalled_from: int = 0
    """Number of the segment whose cursor told the open runs."""

    def in_order(self) -> list[_Segment]:
        return [self.segments[number] for number in sorted(self.segments)]


class SpoolReader:
    """Reads all streams of one spool directory, including those that are still being written.

    One reader at a time: whoever holds the shipper's lock. Not thread-safe.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.directory = directory
        self.unreadable_records = 0
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._next_stream = ""
        self._records_log = PacedLog(_log, clock=clock)
        self._files_log = PacedLog(_log, 60.0, clock=clock)

    def refresh(self) -> None:
        """Look for new segments, and for segments that somebody else removed.

        Raises SpoolDirectoryError when the directory cannot be read.
        """
        found: dict[str, set[int]] = {}
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            names = []
        except OSError as exc:
            raise SpoolDirectoryError(
                f"spool directory {self.directory} cannot be read: {exc.strerror}"
            ) from exc
        for name in names:
            parsed = parse_segment_name(name)
            if parsed is None:
                continue
            stream_id, number = parsed
            found.setdefault(stream_id, set()).add(number)
            stream = self._streams.setdefault(stream_id, _Stream(stream_id))
            if number not in stream.segments:
                stream.segments[number] = self._adopt(stream, self.directory / name, number)
        for stream_id, stream in list(self._streams.items()):
            for number in set(stream.segments) - found.get(stream_id, set()):
                del stream.segments[number]
            if not stream.segments:
                del self._streams[stream_id]

    def read(self, *, max_records: int, max_bytes: int) -> list[Chunk]:
        """Return what is new, within the bounds (one record may be larger than ``max_bytes``).

        Streams take turns, so that a busy one does not hold up the others. Call ``refresh`` before.
        An empty list says that nothing is there now.
        """
        chunks: list[Chunk] = []
        for stream in self._turns():
            for segment in stream.in_order():
                while max_records > 0 and max_bytes > 0:
                    chunk = self._read_segment(stream, segment, max_records, max_bytes)
                    if chunk is None:
                        break
                    chunks.append(chunk)
                    max_records -= len(chunk.records)
                    max_bytes -= sum(item.size for item in chunk.records)
                if max_records <= 0 or max_bytes <= 0:
                    self._next_stream = stream.stream_id
                    return chunks
                if not segment.finished:
                    break
        return chunks

    def acknowledge(self, chunk: Chunk) -> None:
        """Move the cursor of the chunk's segment to the end of the chunk.

        A cursor that cannot be written (full disk) is no loss: the records would be sent again,
        which the receiver takes for the same ones. It is logged, once a minute at most.
        """
        stream = self._streams.get(chunk.header.stream_id)
        parsed = parse_segment_name(chunk.path.name)
        if stream is None or parsed is None or parsed[1] not in stream.segments:
            return
        segment = stream.segments[parsed[1]]
        segment.acknowledged = chunk.end
        stream.acknowledged_seq = max(stream.acknowledged_seq, chunk.last_seq)
        cursor = Cursor(chunk.end, chunk.last_seq, chunk.torn_bytes, chunk.closed, chunk.open_runs)
        self._store(_beside(chunk.path, ACK_SUFFIX), cursor)

    def rewind(self) -> None:
        """Forget what was read but not acknowledged, so that it is read again."""
        self._streams.clear()
        self.refresh()

    def delete_finished(self) -> list[EndedStream]:
        """Delete acknowledged segments that have a successor, and return the streams that ended.

        The last segment of an ended stream stays until ``forget`` is called: first its end has to
        be told.
        """
        ended: list[EndedStream] = []
        for stream in list(self._streams.values()):
            segments = stream.in_order()
            for segment, successor in itertools.pairwise(segments):
                if not (segment.finished and segment.acknowledged >= segment.read):
                    break
                if stream.torn_bytes or len(stream.open_runs):
                    self._hand_over(stream, successor)
                self._delete(stream, segment)  # one that cannot be deleted is tried again
            else:
                last = segments[-1]
                if last.finished and last.acknowledged >= last.read:
                    ended.append(
                        EndedStream(
                            stream.stream_id,
                            stream.header,
                            max(stream.last_seq, stream.acknowledged_seq),
                            stream.torn_bytes,
                            stream.closed,
                            stream.open_runs.carried(),
                            stream.alive_unix_nano,
                        )
                    )
        return ended

    def forget(self, stream_id: str) -> None:
        """Delete what is left of a stream that ended.

        A stream with a segment that cannot be deleted stays among the ended ones: ask again.
        """
        stream = self._streams.get(stream_id)
        if stream is not None:
            for segment in stream.in_order():
                self._delete(stream, segment)
            if not stream.segments:
                del self._streams[stream_id]

    def is_empty(self) -> bool:
        """Tell whether no segment is left in the directory, as of the last refresh."""
        return not self._streams

    def stream_ids(self) -> set[str]:
        """Return the streams that have a segment, as of the last refresh."""
        return set(self._streams)

    def everything_acknowledged(self) -> bool:
        """Tell whether all that was read is acknowledged and all that is there was read."""
        for stream in self._streams.values():
            for segment in stream.segments.values():
                if segment.acknowledged < segment.read or segment.read < _size(segment.path):
                    return False
        return True

    def has_living_writer(self, *, besides: frozenset[str] = frozenset()) -> bool:
        """Tell whether some process has a segment open, other than the streams ``besides``."""
        return any(
            not segment.finished and is_locked(segment.path)
            for stream in self._streams.values()
            if stream.stream_id not in besides
            for segment in stream.segments.values()
        )

    def _turns(self) -> Iterator[_Stream]:
        names = sorted(self._streams)
        after = [name for name in names if name > self._next_stream]
        before = [name for name in names if name <= self._next_stream]
        for name in after + before:
            stream = self._streams.get(name)
            if stream is not None:
                yield stream

    def _adopt(self, stream: _Stream, path: Path, number: int) -> _Segment:
        segment = _Segment(path, number)
        cursor = Cursor.read(_beside(path, ACK_SUFFIX))
        if cursor is not None:
            segment.read = segment.acknowledged = cursor.offset
            stream.last_seq = max(stream.last_seq, cursor.last_seq)
            stream.acknowledged_seq = max(stream.acknowledged_seq, cursor.last_seq)
            stream.torn_bytes = max(stream.torn_bytes, cursor.torn_bytes)
            stream.closed = stream.closed or cursor.closed
            if number > stream.recalled_from:
                stream.recalled_from = number
                stream.open_runs = OpenRuns(cursor.open_runs or ())
                stream.must_recall = (
                    cursor.open_runs is None or len(cursor.open_runs) >= MAX_CARRIED
                )
        return segment

    def _read_segment(
        self, stream: _Stream, segment: _Segment, max_records: int, max_bytes: int
    ) -> Chunk | None:
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
            return self._read_records(
                stream, segment, header, descriptor, size, left, max_records, max_bytes
            )
        finally:
            os.close(descriptor)

    def _read_header(
        self, stream: _Stream, segment: _Segment, descriptor: int
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

    def _recall(self, stream: _Stream, segment: _Segment, descriptor: int, first: int) -> None:
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

    def _give_up(self, stream: _Stream, segment: _Segment, size: int) -> None:
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

    def _read_records(
        self,
        stream: _Stream,
        segment: _Segment,
        header: SegmentHeader,
        descriptor: int,
        size: int,
        left: bool,
        max_records: int,
        max_bytes: int,
    ) -> Chunk | None:
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
        if tail.end == segment.read:
            return None
        segment.read = tail.end
        self.unreadable_records += tail.unreadable
        stream.torn_bytes += tail.torn_bytes
        for item in tail.records:
            stream.open_runs.follow(item.record)
            stream.last_seq = max(stream.last_seq, item.record.seq)
            stream.closed = stream.closed or item.record.step.name == _GOODBYE
        return Chunk(
            segment.path,
            header,
            tuple(tail.records),
            segment.read,
            stream.last_seq,
            stream.torn_bytes,
            stream.closed,
            stream.open_runs.carried(),
        )

    def _is_left(self, stream: _Stream, segment: _Segment) -> bool:
        now = time.time_ns()
        if not is_locked(segment.path):
            # A writer locks the next segment before it leaves this one, so the next one is to be
            # seen now; without this look its stream would be taken for ended.
            if segment.number == max(stream.segments, default=segment.number):
                self.refresh()
            return True
        if segment.number == max(stream.segments, default=segment.number):
            stream.alive_unix_nano = now
            return False
        size = _size(segment.path)
        if size != segment.seen_size:
            segment.seen_size, segment.quiet_since = size, self._clock()
            return False
        # The lock is inherited by a child that was forked past the agent's sight.
        return self._clock() - segment.quiet_since >= STRAY_LOCK_SECONDS

    def _hand_over(self, stream: _Stream, successor: _Segment) -> None:
        if successor.acknowledged == 0 or successor.header is None:
            cursor = Cursor(
                0, stream.acknowledged_seq, stream.torn_bytes, False, stream.open_runs.carried()
            )
            self._store(_beside(successor.path, ACK_SUFFIX), cursor)

    def _delete(self, stream: _Stream, segment: _Segment) -> None:
        # The segment goes first: its cursor without it is litter, it without its cursor is a resend.
        # So both stay, here too, when it does not go.
        if not self._unlink(segment.path):
            return
        self._unlink(_beside(segment.path, ACK_SUFFIX))
        self._unlink(_beside(segment.path, WRAP_SUFFIX))
        stream.segments.pop(segment.number, None)

    def _unlink(self, path: Path) -> bool:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            self._files_log.say(
                logging.WARNING, "%s cannot be deleted: %s", path, exc.strerror or exc
            )
            return False
        return True

    def _store(self, path: Path, cursor: Cursor) -> None:
        try:
            cursor.write(path)
        except OSError as exc:
            self._files_log.say(
                logging.ERROR,
                "cursor %s cannot be written: %s; delivery goes on, and after a restart its "
                "records are sent again",
                path,
                exc.strerror,
            )


def _header_of_any(stream: _Stream) -> SegmentHeader | None:
    for segment in stream.in_order():
        with contextlib.suppress(OSError, SpoolFormatError), segment.path.open("rb") as file:
            return read_header(file.read(_HEADER_BYTES))[0]
    return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_suffix(suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
