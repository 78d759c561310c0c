"""A small shop in a ledger: a chord with a failure, a retry and a nested group, and who acted on it."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from celerytrail.exporter.commitment import commit
from celerytrail.exporter.sink.ledger import Ledger
from tests.span_rows import (
    INDEX,
    NOON,
    STREAM,
    Row,
    payload_row,
    span_row,
    task_rows,
    with_columns,
)

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

CHORD = "11111111-0000-4000-8000-000000000001"
NESTED = "22222222-0000-4000-8000-000000000002"
BODY = "33333333-0000-4000-8000-000000000003"
FAILED = "44444444-0000-4000-8000-000000000004"
FINGERPRINT = "00112233aabbccdd"
AGAIN = "55555555-0000-4000-8000-000000000005"
"""The task that an operator's retry of the failed one sent."""

_SECOND = timedelta(seconds=1)


def open_shop(database: MigratedDatabase) -> None:
    """Write all of it through the sink's ledger, as a shipper's batches would come."""
    ledger = Ledger(database.dsn("sink"), max_size=2, timeout_seconds=20)
    ledger.open()
    try:
        ledger.write_spans(database.token, _spans())
        ledger.write_payloads(database.token, _payloads())
    finally:
        ledger.close()
    with database.connect() as connection:
        _act(connection)


def _spans() -> list[Row]:
    chord: dict[str, Any] = {
        "group_id": CHORD,
        "root_group_id": CHORD,
        "chord_body_id": BODY,
        "task_name": "shop.reserve_item",
    }
    nested: dict[str, Any] = {
        "group_id": NESTED,
        "root_group_id": CHORD,
        "task_name": "shop.notify",
        "queue": "mail",
    }
    twice = {"task_id": "again-and-again", **chord}
    return [
        _group(1, CHORD, None, "chord", size=4, chord_body_id=BODY),
        _group(2, NESTED, CHORD, "group", size=2),
        *_task(10, CHORD, at=NOON + _SECOND, **chord),
        *_task(20, CHORD, at=NOON + 2 * _SECOND, **chord),
        *_task(30, CHORD, at=NOON + 3 * _SECOND, task_id=FAILED, end="failed", **chord),
        *_task(40, CHORD, at=NOON + 4 * _SECOND, end="retried", **twice),
        *_task(50, CHORD, at=NOON + 5 * _SECOND, attempt=1, **twice),
        *_task(60, NESTED, at=NOON + 6 * _SECOND, **nested),
        *_task(70, NESTED, at=NOON + 7 * _SECOND, **nested),
        *_task(80, None, at=NOON + 20 * _SECOND, task_id=AGAIN, task_name="shop.reserve_item"),
        span_row(
            90,
            "worker_ready",
            at=NOON + 21 * _SECOND,
            attributes=json.dumps({"celery.concurrency": 4, "celery.pool": "prefork"}),
        ),
    ]


def _span_of(group_id: str) -> bytes:
    return hashlib.sha256(group_id.encode()).digest()[:8]


def _group(
    seq: int, group_id: str, parent: str | None, kind: str, *, size: int, **columns: Any
) -> Row:
    return span_row(
        seq,
        "group",
        at=NOON,
        span_id=_span_of(group_id),
        parent_span_id=None if parent is None else _span_of(parent),
        group_id=group_id,
        root_group_id=CHORD,
        attributes=json.dumps({"celery.group.kind": kind, "celery.group.size": size}),
        **columns,
    )


def _task(seq: int, below_group: str | None, **columns: Any) -> list[Row]:
    """Return the steps of a task as one trace: the send below its group, all else below the send."""
    sent, received, started, ended = task_rows(seq, **columns)
    send_id, run_id = sent[INDEX["send_id"]], ended[INDEX["run_id"]]
    name = ended[INDEX["task_name"]]
    failed = ended[INDEX["step"]] == "failed"
    below = {"parent_span_id": send_id}
    ended = with_columns(
        ended, span_id=run_id, span_name=f"run {name}", span_kind=5, status_code=2 * failed, **below
    )
    if failed:
        ended = with_columns(
            ended,
            commitments=json.dumps(
                {kind: _commitment(kind) for kind in ("exception", "traceback")}
            ),
            attributes=json.dumps({"celery.exception.fingerprint": FINGERPRINT}),
        )
        sent = with_columns(sent, commitments=json.dumps({"args": _commitment("args")}))
    parent = None if below_group is None else _span_of(below_group)
    return [
        with_columns(
            sent, span_id=send_id, parent_span_id=parent, span_name=f"send {name}", span_kind=4
        ),
        with_columns(received, **below),
        with_columns(started, span_name="wait", **below),
        ended,
    ]


_BODIES = {
    "args": b'[7, "teapot"]',
    "exception": json.dumps("there is no 'teapot'").encode(),
    "traceback": json.dumps("Traceback (most recent call last):\n  ...").encode(),
}
_SALT = hashlib.sha256(FAILED.encode()).digest()


def _commitment(kind: str) -> str:
    return commit(kind, _SALT, _BODIES[kind]).hex()


def _payloads() -> list[Row]:
    return [
        payload_row(
            FAILED,
            kind,
            body,
            at=NOON + 3 * _SECOND,
            seq=30 if kind == "args" else 33,
            salt=_SALT,
            commitment=commit(kind, _SALT, body),
        )
        for kind, body in _BODIES.items()
    ]


def _act(connection: psycopg.Connection[Any]) -> None:
    """Write down a retry that was done and a purge that was refused."""
    target = {"task_id": FAILED}
    done = {
        "state": "succeeded",
        "tasks": [{"task_id": FAILED, "result": "sent", "new_task_id": AGAIN}],
    }
    refused = {"code": "not_allowed", "message": "the role viewer may not purge"}
    for number, (intent, phase, verb, to, detail) in enumerate(
        (
            (1, "intent", "retry", target, None),
            (1, "outcome", "retry", target, done),
            (2, "refused", "purge", {"queue": "orders"}, refused),
        )
    ):
        moment: datetime = NOON + (20 + number) * _SECOND
        connection.execute(
            "INSERT INTO celerytrail.actions (action_id, intent_id, action_time, phase, verb, actor,"
            " actor_kind, namespace, service, environment, target, detail, recorded_by)"
            " VALUES (%s, %s, %s, %s, %s, 'ann', 'grafana', 'acme', 'shop', 'test', %s, %s, 'test')",
            [
                uuid.uuid5(STREAM, f"action {number}"),
                uuid.uuid5(STREAM, f"intent {intent}"),
                moment,
                phase,
                verb,
                json.dumps(to),
                None if detail is None else json.dumps(detail),
            ],
        )
