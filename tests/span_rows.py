"""Rows as the sink's decoder makes them: spans in the order of SPAN_COLUMNS."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SPAN_COLUMNS
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.event_id import StreamHash

Row = tuple[Any, ...]

SHOP = Deployment("acme", "shop", "test")
STREAM = uuid.UUID("5e000000-0000-4000-8000-000000000001")
NOON = datetime.now(timezone.utc).replace(hour=0, minute=0, second=1, microsecond=0)
"""A time of today that has passed: its partition is there, and no clock is ahead of the database's."""

_NAMES = [column.name for column in SPAN_COLUMNS]
INDEX = {name: position for position, name in enumerate(_NAMES)}


def nanoseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def span_row(
    seq: int,
    step: str,
    *,
    at: datetime = NOON,
    stream: uuid.UUID = STREAM,
    deployment: Deployment = SHOP,
    **columns: Any,
) -> Row:
    """One span; ``columns`` replace what it would have by itself."""
    unix_nano = nanoseconds(at)
    label = deployment.label
    values: dict[str, Any] = {
        "event_id": StreamHash(label, stream).event_id(unix_nano, seq),
        "event_time": at,
        "day": at.date(),
        "namespace": deployment.namespace,
        "service": deployment.service,
        "environment": deployment.environment,
        "stream_id": stream,
        "seq": seq,
        "step": step,
        "inferred": False,
        "trace_id": b"\x07" * 16,
        "span_id": hashlib.sha256(stream.bytes + seq.to_bytes(8, "big")).digest()[:8],
        "span_name": step,
        "span_kind": 1,
        "status_code": 0,
        "start_unix_nano": unix_nano,
        "end_unix_nano": unix_nano,
        "process_kind": "worker",
        "worker": "celery@host",
        "host": "host",
        "pid": 17,
        "attributes": "{}",
    }
    unknown = columns.keys() - set(_NAMES)
    assert not unknown, unknown
    values.update(columns)
    return tuple(values.get(name) for name in _NAMES)


def with_columns(row: Row, **columns: Any) -> Row:
    """The same row with some columns replaced."""
    values = dict(zip(_NAMES, row, strict=True)) | columns
    return tuple(values[name] for name in _NAMES)


def task_rows(
    first_seq: int = 1,
    *,
    task_id: str | None = None,
    stream: uuid.UUID = STREAM,
    at: datetime = NOON,
    end: str = "succeeded",
    attempt: int = 0,
    **columns: Any,
) -> list[Row]:
    """The four steps of one attempt: sent, received, started and its end, a millisecond apart."""
    name = task_id or str(uuid.uuid5(stream, f"{first_seq}"))
    seed = hashlib.sha256(f"{name}/{attempt}".encode()).digest()
    common: dict[str, Any] = {
        "task_id": name,
        "task_name": "shop.pay",
        "retries": attempt,
        "queue": "orders",
        "root_id": name,
        "send_id": seed[:8],
        "sent_unix_nano": nanoseconds(at),
        **columns,
    }
    per_step: dict[str, dict[str, Any]] = {
        "sent": {"commitments": json.dumps({"args": seed.hex(), "kwargs": seed[::-1].hex()})},
        "received": {},
        "started": {"run_id": seed[8:16], "queue_wait_us": 2000},
        end: {"run_id": seed[8:16], "runtime_us": 1000},
    }
    if end in ("failed", "retried"):
        per_step[end] |= {
            "exception_class": "builtins.ValueError",
            "commitments": json.dumps({"exception": "ee" * 32, "traceback": "ef" * 32}),
        }
    return [
        span_row(
            first_seq + number,
            step,
            stream=stream,
            at=at + timedelta(milliseconds=number),
            **{**common, **own},
        )
        for number, (step, own) in enumerate(per_step.items())
    ]


def payload_row(
    task_id: str, kind: str, body: bytes, *, at: datetime = NOON, **columns: Any
) -> Row:
    """One payload item in the order of PAYLOAD_COLUMNS."""
    salt = hashlib.sha256(task_id.encode()).digest()
    values: dict[str, Any] = {
        "event_time": at,
        "day": at.date(),
        "namespace": SHOP.namespace,
        "service": SHOP.service,
        "environment": SHOP.environment,
        "task_id": task_id,
        "retries": 0,
        "stream_id": STREAM,
        "seq": 1,
        "kind": kind,
        "commitment": hashlib.sha256(salt + body).digest(),
        "salt": salt,
        "truncated": False,
        "body": body,
    }
    values.update(columns)
    return tuple(values[column.name] for column in PAYLOAD_COLUMNS)
