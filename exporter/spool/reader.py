"""Reading a spool directory: every record once and in order, a cursor of what is acknowledged.

The reader hands out chunks: some records of one segment, and the place in it up to which they
reach. A chunk that is acknowledged moves the segment's cursor (the ``.ack`` file); one that is not
is read again by the next reader. Segments are deleted when their writer is gone from them and
everything in them is acknowledged.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.ended_stream import EndedStream
from celerytrail.exporter.spool.errors import SpoolDirectoryError
from celerytrail.exporter.spool.followed_stream import FollowedStream
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.segment import parse_segment_name
from celerytrail.exporter.spool.segment_files import SegmentFiles
from celerytrail.exporter.spool.segment_reading import SegmentReading, size_of
from celerytrail.exporter.spool.segment_tail import is_locked

_log = logging.getLogger(__name__)


class SpoolReader:
    """Reads all streams of one spool directory, including those that are still being written.

    One reader at a time: whoever holds the shipper's lock. Not thread-safe.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.directory = directory
        self._streams: dict[str, FollowedStream] = {}
        self._next_stream = ""
        files_log = PacedLog(_log, 60.0, clock=clock)
        self._files = SegmentFiles(files_log)
        self._reading = SegmentReading(self.refresh, files_log, clock)

    @property
    def unreadable_records(self) -> int:
        """Whole records that could not be read; their numbers stay missing at the receiver."""
        return self._reading.unreadable_records

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
            stream = self._streams.setdefault(stream_id, FollowedStream(stream_id))
            if number not in stream.segments:
                stream.adopt(self.directory / name, number)
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
                    chunk = self._reading.read_on(stream, segment, max_records, max_bytes)
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
        self._files.store_cursor(chunk.path, cursor)

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
                if not segment.delivered:
                    break
                if stream.torn_bytes or len(stream.open_runs):
                    self._files.hand_over(stream, successor)
                self._files.delete(stream, segment)  # one that cannot be deleted is tried again
            else:
                if segments[-1].delivered:
                    ended.append(stream.ended())
        return ended

    def forget(self, stream_id: str) -> None:
        """Delete what is left of a stream that ended.

        A stream with a segment that cannot be deleted stays among the ended ones: ask again.
        """
        stream = self._streams.get(stream_id)
        if stream is not None:
            for segment in stream.in_order():
                self._files.delete(stream, segment)
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
                if segment.acknowledged < segment.read or segment.read < size_of(segment.path):
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

    def _turns(self) -> Iterator[FollowedStream]:
        names = sorted(self._streams)
        after = [name for name in names if name > self._next_stream]
        before = [name for name in names if name <= self._next_stream]
        for name in after + before:
            stream = self._streams.get(name)
            if stream is not None:
                yield stream
