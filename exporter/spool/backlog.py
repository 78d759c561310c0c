"""What waits in a spool directory: how much is not acknowledged, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.segment_state import list_segments, look_at, time_of_record


@dataclass(frozen=True, slots=True)
class Backlog:
    """What lies in a spool directory, and what of it waits to be acknowledged.

    ``oldest_unix_nano`` is when the oldest record that waits happened, None where none waits.
    """

    segments: int
    bytes: int
    waiting_bytes: int
    oldest_unix_nano: int | None

    def lag_ms(self, now_unix_nano: int) -> int:
        """Return how old that record is at a time, 0 where all is delivered."""
        if self.oldest_unix_nano is None:
            return 0
        return max(0, now_unix_nano - self.oldest_unix_nano) // 1_000_000


def read_backlog(directory: Path, *, besides: frozenset[str] = frozenset()) -> Backlog:
    """Look at the segments of a spool directory and at what is acknowledged of each.

    The streams ``besides`` are not waited for. It reads the header and one record of a segment; where
    that is not whole, the file's time stands in. A directory that is not there is empty. Raises
    SpoolDirectoryError when it cannot be read.
    """
    segments = total = waiting = 0
    oldest: int | None = None
    for stream_id, number, path in list_segments(directory) if directory.is_dir() else ():
        state = look_at(path, stream_id, number)
        if state is None:
            continue
        segments += 1
        total += state.bytes
        if stream_id in besides or not state.waiting_bytes:
            continue
        waiting += state.waiting_bytes
        at = time_of_record(path, max(state.acknowledged, state.first_record))
        if at is None:
            at = state.modified_unix_nano
        oldest = at if oldest is None else min(oldest, at)
    return Backlog(segments, total, waiting, oldest)
