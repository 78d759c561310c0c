"""The records of a spool one after the other, as they stand and, if wished, as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.segment_state import SegmentState, list_segments, look_at
from celerytrail.exporter.spool.segment_tail import is_locked
from celerytrail.exporter.spool.survey import Passage, passages

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Tailed:
    """A passage and the segment it stands in. ``delivered`` says that the shipper is past it."""

    state: SegmentState
    passage: Passage
    delivered: bool


class SpoolTail:
    """Reads the segments whose name begins with a text, each byte once."""

    def __init__(self, directory: Path, prefix: str = "") -> None:
        self._directory = directory
        self._prefix = prefix
        self._read: dict[str, int] = {}

    def segments(self) -> list[tuple[str, int, Path]]:
        """Return the segments it is about. Raises SpoolDirectoryError."""
        return [
            found
            for found in list_segments(self._directory)
            if found[2].name.startswith(self._prefix)
        ]

    def new(self, *, unfinished: bool = False) -> Iterator[Tailed]:
        """Yield what came since the last time; with ``unfinished`` also what is not whole yet.

        Raises SpoolDirectoryError when the directory cannot be read.
        """
        found = self.segments()
        newest = {stream_id: number for stream_id, number, _ in found}
        self._read = {
            path.name: self._read[path.name] for *_, path in found if path.name in self._read
        }
        for stream_id, number, path in found:
            live = number == newest[stream_id] and is_locked(path)
            state = look_at(path, stream_id, number)
            if state is None:
                continue
            start = self._read.get(path.name, state.first_record)
            for passage in passages(state, start, live=live):
                if passage.unfinished:
                    if unfinished:
                        yield Tailed(state, passage, False)
                    break
                self._read[path.name] = passage.end
                yield Tailed(state, passage, passage.end <= state.acknowledged)

    def follow(self, wait: Callable[[float], None] = time.sleep) -> Iterator[Tailed]:
        """Yield what there is and what comes, for ever. Raises as ``new``."""
        while True:
            yield from self.new()
            wait(POLL_SECONDS)
