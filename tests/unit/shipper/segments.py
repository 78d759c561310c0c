"""Spools for the tests: segments with records as the agent writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.record import HEADERS, LAYOUTS, REQUEST, Record
from celerytrail.exporter.spool.segment import SegmentHeader, encode_record, segment_name
from celerytrail.exporter.spool.segment_tail import SpooledRecord
from celerytrail.exporter.spool.trail import Trail

STREAM = "0123456789abcdef0123456789abcdef"
NOW = 1_790_000_000_000_000_000
TRACE, SEND, PARENT, RUN = "11" * 16, "22" * 8, "33" * 8, "44" * 8

HEADER = SegmentHeader(
    stream_id=STREAM,
    segment=1,
    first_seq=1,
    secret=bytes(range(32)),
    boot_id="",
    host="box",
    pid=4321,
    process_kind="publisher",
    worker="publisher@box",
    namespace="shop",
    service="orders",
    environment="test",
    resource_attributes="team=blue,region=eu%20west",
    agent_version="0.1.0",
    celery_version="5.7.0",
    python_version="3.11.0",
    opened_unix_nano=NOW,
)


def trail(task_id: str = "t", *, sent: int = NOW, queue: str = "celery", group: str = "") -> str:
    return Trail(TRACE, SEND, sent, PARENT, group_id=group, queue=queue).text()


def headers(task_id: str = "t", **more: Any) -> tuple[Any, ...]:
    known = {
        "id": task_id,
        "task": "shop.pay",
        "retries": 0,
        "root_id": task_id,
        "origin": "gen1@box",
        "argsrepr": "(1,)",
        "kwargsrepr": "{}",
        "timelimit": (None, None),
        **more,
    }
    return tuple(known.get(name) for name in HEADERS)


def request(task_id: str = "t", **more: Any) -> tuple[Any, ...]:
    known = {
        "id": task_id,
        "task": "shop.pay",
        "retries": 0,
        "root_id": task_id,
        "exchange": "",
        "routing_key": "celery",
        "redelivered": False,
        **more,
    }
    return tuple(known.get(name) for name in REQUEST)


def values(step: str, seq: int, time: int = NOW, **fields: Any) -> tuple[Any, ...]:
    """Return a record as the tuple that is written."""
    assert set(fields) <= set(LAYOUTS[step])
    return (
        STEP_BY_NAME[step].code,
        seq,
        time,
        tuple(fields.get(name) for name in LAYOUTS[step]),
    )


def record(step: str, seq: int, time: int = NOW, **fields: Any) -> Record:
    return Record.from_tuple(values(step, seq, time, **fields))


def body(args: Any = (1,), kwargs: Any = None, embed: Any = None) -> bytes:
    return json.dumps([list(args), kwargs or {}, embed or {}]).encode()


def sent(seq: int, task_id: str = "t", data: bytes | None = None, **more: Any) -> tuple[Any, ...]:
    data = body() if data is None else data
    fields = {
        "trail": trail(task_id),
        "headers": headers(task_id),
        "start_unix_nano": NOW - 1000,
        "exchange": "",
        "routing_key": "celery",
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "body": data,
        "body_size": len(data),
        **more,
    }
    return values("sent", seq, NOW, **fields)


def stream(
    count: int, *, first: int = 1, closed: bool = True, secret: str = "", padding: int = 0
) -> list[tuple[Any, ...]]:
    """Return the records of a whole publisher stream: opened, ``count`` sends, closed."""
    records = [values("stream_opened", first)]
    for seq in range(first + 1, first + 1 + count):
        kwargs = {"password": secret} if secret else {}
        args = (seq - first - 1, "x" * padding) if padding else (seq - first - 1,)
        records.append(sent(seq, f"task-{seq}", body(args, kwargs)))
    if closed:
        records.append(values("stream_closed", first + count + 1, lost=0))
    return records


def segment_bytes(records: Iterable[tuple[Any, ...]], header: SegmentHeader = HEADER) -> bytes:
    return header.to_frame() + b"".join(map(encode_record, records))


def write_segment(
    directory: Path, records: Iterable[tuple[Any, ...]], header: SegmentHeader = HEADER
) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / segment_name(header.stream_id, header.segment)
    path.write_bytes(segment_bytes(records, header))
    return path


def write_stream(
    directory: Path,
    records: Sequence[tuple[Any, ...]],
    *,
    stream_id: str = STREAM,
    per_segment: int = 10_000,
) -> list[Path]:
    """Write the records of one stream, so many in each segment."""
    paths = []
    for number, start in enumerate(range(0, len(records), per_segment), start=1):
        part = records[start : start + per_segment]
        header = replace(HEADER, stream_id=stream_id, segment=number, first_seq=part[0][1])
        paths.append(write_segment(directory, part, header))
    return paths


def chunk(path: Path, *records: Record, header: SegmentHeader = HEADER) -> Chunk:
    """Return records as the reader hands them out."""
    return Chunk(
        path, header, tuple(SpooledRecord(item, 1) for item in records), 0, 0, 0, False, ()
    )
