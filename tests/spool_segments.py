"""Reading a spool directory back with nothing but the format, for tests of what writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.open_runs import OpenRuns
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.segment import (
    Frame,
    SegmentHeader,
    decode_record,
    parse_segment_name,
    read_header,
    scan,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file: its header, its records, and how many bytes of it were torn."""

    header: SegmentHeader
    records: list[Record]
    torn_bytes: int


def read_segments(directory: Path) -> list[Segment]:
    """Read all segments of a directory, in the order of their names; ends of runs are made whole."""
    segments = [read_segment(path) for path in sorted(directory.iterdir()) if _is_segment(path)]
    open_runs: dict[str, OpenRuns] = {}
    for segment in segments:
        runs = open_runs.setdefault(segment.header.stream_id, OpenRuns())
        for record in segment.records:
            runs.follow(record)
    return segments


def read_segment(path: Path) -> Segment:
    """Read one segment file."""
    data = path.read_bytes()
    header, start = read_header(data)
    records, torn = [], 0
    for item in scan(data, start):
        if isinstance(item, Frame):
            records.append(Record.from_tuple(decode_record(item.payload)))
        else:
            torn += item.end - item.start
    return Segment(header, records, torn)


def read_records(directory: Path) -> list[Record]:
    """Read the records of all segments of a directory."""
    return [record for segment in read_segments(directory) for record in segment.records]


def read_streams(directory: Path) -> dict[str, list[Record]]:
    """Read the records of each stream, in the order of their sequence numbers."""
    streams: dict[str, list[Record]] = {}
    for segment in read_segments(directory):
        streams.setdefault(segment.header.stream_id, []).extend(segment.records)
    return {name: sorted(found, key=lambda one: one.seq) for name, found in streams.items()}


def _is_segment(path: Path) -> bool:
    return parse_segment_name(path.name) is not None
