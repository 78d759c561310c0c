"""Where a reader stands in one stream: what it read of each segment, and what is acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.ended_stream import EndedStream
from celerytrail.exporter.spool.open_runs import MAX_CARRIED, OpenRuns
from celerytrail.exporter.spool.segment import ACK_SUFFIX, SegmentHeader
from celerytrail.exporter.spool.segment_tail import Tail

_GOODBYE = "stream_closed"


@dataclass(slots=True)
class FollowedSegment:
    """One segment: offsets up to which it was read and acknowledged.

    ``finished`` says that nobody writes it any more and all of it was read.
    """

    path: Path
    number: int
    header: SegmentHeader | None = None
    read: int = 0
    acknowledged: int = 0
    finished: bool = False
    seen_size: int = -1
    quiet_since: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether there is nothing left to do with it."""
        return self.finished and self.acknowledged >= self.read


@dataclass(slots=True)
class FollowedStream:
    """One stream: its segments by number, and what its records said up to where it was read.

    ``must_recall`` says that the open runs are not all known and have to be read again, and
    ``recalled_from`` which segment's cursor told those that are.
    """

    stream_id: str
    segments: dict[int, FollowedSegment] = field(default_factory=dict)
    header: SegmentHeader | None = None
    last_seq: int = 0
    torn_bytes: int = 0
    closed: bool = False
    acknowledged_seq: int = 0
    open_runs: OpenRuns = field(default_factory=OpenRuns)
    alive_unix_nano: int = 0
    must_recall: bool = False
    recalled_from: int = 0

    def in_order(self) -> list[FollowedSegment]:
        """Return the segments, the oldest first."""
        return [self.segments[number] for number in sorted(self.segments)]

    def is_newest(self, segment: FollowedSegment) -> bool:
        """Tell whether a segment has no successor yet."""
        return segment.number == max(self.segments, default=segment.number)

    def adopt(self, path: Path, number: int) -> None:
        """Take in a segment that was found, at the place that its cursor tells."""
        segment = self.segments[number] = FollowedSegment(path, number)
        cursor = Cursor.read(path.with_suffix(ACK_SUFFIX))
        if cursor is None:
            return
        segment.read = segment.acknowledged = cursor.offset
        self.last_seq = max(self.last_seq, cursor.last_seq)
        self.acknowledged_seq = max(self.acknowledged_seq, cursor.last_seq)
        self.torn_bytes = max(self.torn_bytes, cursor.torn_bytes)
        self.closed = self.closed or cursor.closed
        if number > self.recalled_from:
            self.recalled_from = number
            self.open_runs = OpenRuns(cursor.open_runs or ())
            self.must_recall = cursor.open_runs is None or len(cursor.open_runs) >= MAX_CARRIED

    def follow(self, segment: FollowedSegment, header: SegmentHeader, tail: Tail) -> Chunk:
        """Note what was read of a segment, and return it as a chunk."""
        segment.read = tail.end
        self.torn_bytes += tail.torn_bytes
        for item in tail.records:
            self.open_runs.follow(item.record)
            self.last_seq = max(self.last_seq, item.record.seq)
            self.closed = self.closed or item.record.step.name == _GOODBYE
        return Chunk(
            segment.path,
            header,
            tuple(tail.records),
            segment.read,
            self.last_seq,
            self.torn_bytes,
            self.closed,
            self.open_runs.carried(),
        )

    def ended(self) -> EndedStream:
        """Return what is known of it, once its last segment is delivered."""
        return EndedStream(
            self.stream_id,
            self.header,
            max(self.last_seq, self.acknowledged_seq),
            self.torn_bytes,
            self.closed,
            self.open_runs.carried(),
            self.alive_unix_nano,
        )
