"""Reading the records of one segment from an offset on, as far as they are whole."""

from __future__ import annotations

import fcntl
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from celerytrail.exporter.spool.errors import SpoolFormatError
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.segment import (
    FRAME_HEAD,
    MAX_PAYLOAD_BYTES,
    Torn,
    decode_record,
    read_frame,
    scan,
)


class SpooledRecord(NamedTuple):
    """One record as it was read, and how many bytes it takes in the spool."""

    record: Record
    size: int


@dataclass(slots=True)
class Tail:
    """What was read: the records, the offset after them, and what had to be skipped before it."""

    records: list[SpooledRecord]
    end: int
    torn_bytes: int = 0
    unreadable: int = 0


def read_tail(
    descriptor: int,
    name: str,
    start: int,
    size: int,
    *,
    left: bool,
    max_records: int,
    max_bytes: int,
    log: PacedLog,
) -> Tail:
    """Read records of an open segment of ``size`` bytes, from the offset ``start`` on.

    ``left`` says that nobody writes it any more. Then torn bytes are skipped and counted; else they
    are waited for, since the rest of a frame may still come. One record may be longer than
    ``max_bytes``. ``name`` is for the ``log``.
    """
    tail = Tail([], start)
    data = os.pread(descriptor, min(size - start, max(max_bytes, FRAME_HEAD.size)), start)
    offset = 0
    while len(tail.records) < max_records:
        frame = read_frame(data, offset)
        if frame is not None:
            _take(tail, frame.payload, frame.end - frame.start, name, log)
            offset = frame.end
            continue
        if tail.records or start + offset >= size:
            break
        # Nothing whole here: a record longer than asked for, a torn one, or one that is being
        # written just now.
        wanted = min(size - start, _claimed(data, offset))
        if len(data) < wanted:
            known, data = len(data), os.pread(descriptor, wanted, start)
            if len(data) <= known:  # its writer has just begun it anew, see reuse_segment
                break
            continue
        if not left:
            # Frames inside a record's own bytes would be taken for records: wait for the rest.
            break
        if len(data) < size - start:
            data = os.pread(descriptor, size - start, start)
        torn = next(scan(data, offset))
        if not isinstance(torn, Torn):
            continue
        tail.torn_bytes += torn.end - torn.start
        log.say(
            logging.WARNING,
            "segment %s: %d torn bytes skipped at offset %d",
            name,
            torn.end - torn.start,
            start + torn.start,
        )
        offset = torn.end
        if torn.at_tail:
            break
    tail.end = start + offset
    return tail


def is_locked(path: Path) -> bool:
    """Tell whether a living writer holds a segment, or may hold it: where there is no telling."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        # Out of descriptors, say. Taken for dead, a writer that lives would lose its segment.
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(tail: Tail, payload: bytes, size: int, name: str, log: PacedLog) -> None:
    try:
        record = Record.from_tuple(decode_record(payload))
    except (SpoolFormatError, ValueError) as exc:
        # A newer agent's step: its number stays missing at the receiver, where it shows.
        tail.unreadable += 1
        log.say(logging.ERROR, "segment %s: a record is skipped: %s", name, exc)
        return
    tail.records.append(SpooledRecord(record, size))


def _claimed(data: bytes, offset: int) -> int:
    if len(data) - offset < FRAME_HEAD.size:
        return offset + FRAME_HEAD.size
    length = int(FRAME_HEAD.unpack_from(data, offset)[0])
    return offset + FRAME_HEAD.size + (length if length <= MAX_PAYLOAD_BYTES else 0)
