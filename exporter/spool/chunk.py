"""What a reader hands out: records of one segment, to be acknowledged together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.open_runs import OpenRun
from celerytrail.exporter.spool.segment import SegmentHeader
from celerytrail.exporter.spool.segment_tail import SpooledRecord


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
