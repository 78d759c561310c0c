"""Delays that are in use: what the records in the spool say of tasks that were sent for later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from celerytrail.exporter.agent.doctor.broker_patience import broker_patience
from celerytrail.exporter.agent.doctor.finding import ERROR, Finding, Recording
from celerytrail.exporter.spool.errors import SpoolFormatError
from celerytrail.exporter.spool.record import HEADERS, Record
from celerytrail.exporter.spool.segment import (
    Frame,
    decode_record,
    parse_segment_name,
    read_header,
    scan,
)

MAX_BYTES = 16 * 1024 * 1024
"""How much of the spool is read, the newest segments first."""


class _Delay(NamedTuple):
    seconds: float
    task: str


def delays_in_use(app: Any, recording: Recording) -> Iterator[Finding]:
    """Find a task that was sent for a later time than the broker has patience for.

    Only what still lies in the spool is seen: records that were delivered are deleted.
    """
    patience = broker_patience(app)
    longest = _longest_delay(recording.config.spool_dir) if patience else None
    if patience is None or longest is None or longest.seconds <= patience.seconds:
        return
    yield Finding(
        ERROR,
        f"{patience.shown}, {longest.task} was sent for {longest.seconds:.0f} s later",
        "a message that waits for its time is handed to a second worker: it runs twice",
        "set broker_transport_options['visibility_timeout'] above it",
    )


def _longest_delay(spool: Path) -> _Delay | None:
    left = MAX_BYTES
    found: list[_Delay] = []
    for path in _newest_first(spool):
        try:
            with path.open("rb") as segment:
                data = segment.read(left)
            left -= len(data)
            found += _delays(data)
        except (OSError, SpoolFormatError):  # deleted since, or for the reader to deal with
            continue
        if left <= 0:
            break
    return max(found, default=None)


def _newest_first(spool: Path) -> list[Path]:
    times = {}
    try:
        for path in spool.iterdir():
            if parse_segment_name(path.name):
                times[path] = path.stat().st_mtime_ns
    except OSError:
        return []
    return sorted(times, key=lambda path: times[path], reverse=True)


def _delays(data: bytes) -> Iterator[_Delay]:
    for item in scan(data, read_header(data)[1]):
        if isinstance(item, Frame):
            try:
                record = Record.from_tuple(decode_record(item.payload))
                named = dict(zip(HEADERS, record.fields["headers"], strict=False))
                eta = datetime.fromisoformat(named["eta"]).timestamp()
            except (SpoolFormatError, KeyError, TypeError, ValueError):
                continue  # no send, or one for now
            yield _Delay(eta - record.time_unix_nano / 1e9, str(named.get("task")))
