"""Batches of spans of whole tasks, four steps each, and their payloads: what a sink gets."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SPAN_COLUMNS
from tests.bench.bench_server import BENCH
from tests.span_rows import Row

STEPS = ("sent", "received", "started", "succeeded")
_ATTRIBUTES = json.dumps(
    {
        "celery.event": "task-succeeded",
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "celery.exchange": "",
        "celery.routing_key": "orders",
        "celery.origin": "gen4242@web-1",
        "celery.timelimit": "None, None",
        "celery.content_type": "application/json",
        "celery.body_size": 212,
    },
    separators=(",", ":"),
)


def span_batches(count: int, rows: int) -> list[list[Row]]:
    """Make batches of whole tasks, four steps each, from one stream."""
    stream, seq = uuid.uuid4(), 0
    now = datetime.now(timezone.utc)
    made = []
    for _ in range(count):
        batch = []
        for _ in range(rows // len(STEPS)):
            task_id, send, run = str(uuid.uuid4()), secrets.token_bytes(8), secrets.token_bytes(8)
            trace = secrets.token_bytes(16)
            for place, step in enumerate(STEPS):
                seq += 1
                batch.append(_row(stream, seq, step, now + timedelta(microseconds=50 * seq + place),
                                  task_id, trace, send, run))  # fmt: skip
        made.append(batch)
    return made


def payloads_of(spans: list[Row]) -> list[Row]:
    """Make what comes with such a batch: arguments and keyword arguments of each task."""
    made = []
    for row in spans[:: len(STEPS)]:
        span = dict(zip((column.name for column in SPAN_COLUMNS), row, strict=True))
        for kind in ("args", "kwargs"):
            body = f'{{"kind": "{kind}", "order": "ORD-{span["seq"]}", "customer": "{span["task_id"]}"}}'
            salt = secrets.token_bytes(32)
            values = {
                **span,
                "kind": kind,
                "salt": salt,
                "truncated": False,
                "body": body.encode(),
                "commitment": hashlib.sha256(salt + body.encode()).digest(),
            }
            made.append(tuple(values[column.name] for column in PAYLOAD_COLUMNS))
    return made


def _row(
    stream: uuid.UUID, seq: int, step: str, when: datetime, task_id: str, trace: bytes,
    send: bytes, run: bytes,
) -> Row:  # fmt: skip
    milliseconds = int(when.timestamp() * 1000)
    nanoseconds = int(when.timestamp() * 1_000_000) * 1000
    ran = step in ("started", "succeeded")
    values: dict[str, Any] = {
        "event_id": uuid.UUID(bytes=milliseconds.to_bytes(6, "big") + secrets.token_bytes(10)),
        "event_time": when,
        "day": when.date(),
        "namespace": BENCH.namespace,
        "service": BENCH.service,
        "environment": BENCH.environment,
        "stream_id": stream,
        "seq": seq,
        "step": step,
        "inferred": False,
        "trace_id": trace,
        "span_id": send if step == "sent" else secrets.token_bytes(8),
        "parent_span_id": None if step == "sent" else send,
        "span_name": f"{step} shop.reserve_stock",
        "span_kind": 4,
        "status_code": 0,
        "start_unix_nano": nanoseconds,
        "end_unix_nano": nanoseconds,
        "process_kind": "child",
        "worker": "celery@worker-1",
        "host": "worker-1",
        "pid": 4242,
        "task_id": task_id,
        "task_name": "shop.reserve_stock",
        "retries": 0,
        "queue": "orders",
        "root_id": task_id,
        "send_id": send,
        "sent_unix_nano": nanoseconds,
        "run_id": run if ran else None,
        "queue_wait_us": 1500 if ran else None,
        "runtime_us": 2500 if step == "succeeded" else None,
        "commitments": json.dumps({"args": secrets.token_hex(32), "kwargs": secrets.token_hex(32)}),
        "attributes": _ATTRIBUTES,
    }
    return tuple(values.get(column.name) for column in SPAN_COLUMNS)
