"""What lies in the segments of a spool, for people: counted from outside, with nothing changed.

It takes no lock that anybody waits for, writes nothing, and reads while a writer writes and the
shipper deletes: a segment that goes away meanwhile is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.errors import SpoolFormatError
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.segment import Torn, decode_record, scan
from celerytrail.exporter.spool.segment_state import SegmentState, list_segments, look_at
from celerytrail.exporter.spool.segment_tail import is_locked

_GOODBYE = "stream_closed"


@dataclass(frozen=True, slots=True)
class Passage:
    """Some bytes of a segment: a record, or bytes that are none (``record`` is None).

    ``unfinished`` says that the writer lives, so that the rest of them may still come.
    """

    start: int
    end: int
    record: Record | None
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class SegmentSurvey:
    """What one segment holds. ``live`` says that its writer has it open and writes it."""

    state: SegmentState
    live: bool
    records: int
    waiting: int
    torn_bytes: int
    first_seq: int
    last_seq: int
    lost: int
    closed: bool
    oldest_waiting_unix_nano: int | None


def passages(state: SegmentState, start: int, *, live: bool) -> Iterator[Passage]:
    """Yield what stands in a segment from an offset on, up to where its writer is.

    Nothing comes from a segment that is gone, and one passage of all its bytes from one without a
    header.
    """
    try:
        with state.path.open("rb") as file:
            file.seek(start)
            data = file.read()
    except OSError:
        return
    if state.header is None:
        if data:
            yield Passage(start, start + len(data), None, unfinished=live)
        return
    for item in scan(data, 0):
        if isinstance(item, Torn):
            yield Passage(start + item.start, start + item.end, None, unfinished=live)
            if live:
                # What looks like a record further on may be bytes inside of one that is being written.
                return
            continue
        try:
            record = Record.from_tuple(decode_record(item.payload))
        except (SpoolFormatError, ValueError):
            record = None
        yield Passage(start + item.start, start + item.end, record)


def survey(directory: Path) -> list[SegmentSurvey]:
    """Return what the segments of a spool directory hold, in the order of streams and numbers.

    Raises SpoolDirectoryError when the directory is not there or cannot be read.
    """
    listed = list_segments(directory)
    newest = {stream_id: number for stream_id, number, _ in listed}
    found: list[SegmentSurvey] = []
    for stream_id, number, path in listed:
        # The lock before the bytes: what a writer wrote before it left is then seen.
        live = number == newest[stream_id] and is_locked(path)
        state = look_at(path, stream_id, number)
        if state is not None:
            found.append(_survey_one(state, live))
        if not path.exists():
            # Delivered and deleted meanwhile, and those before it too: no gap is to be seen there.
            found = [other for other in found if other.state.stream_id != stream_id]
    return found


def _survey_one(state: SegmentState, live: bool) -> SegmentSurvey:
    records = waiting = torn = first = last = lost = 0
    closed = False
    oldest: int | None = None
    for passage in passages(state, state.first_record, live=live):
        record = passage.record
        if record is None:
            torn += 0 if passage.unfinished else passage.end - passage.start
            continue
        records += 1
        first, last = first or record.seq, record.seq
        said = record.fields.get("lost")
        lost = max(lost, said if type(said) is int else 0)
        closed = closed or record.step.name == _GOODBYE
        if passage.start >= state.acknowledged:
            waiting += 1
            oldest = record.time_unix_nano if oldest is None else oldest
    return SegmentSurvey(state, live, records, waiting, torn, first, last, lost, closed, oldest)
