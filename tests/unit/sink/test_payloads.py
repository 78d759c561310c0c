"""Log records become payload rows only when they fit what they claim to be."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, PAYLOAD_KINDS, Shown
from celerytrail.exporter.commitment import commit
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.chunks import Decoded
from celerytrail.exporter.sink.payloads import MAX_BODY_BYTES, decode_payloads
from celerytrail.exporter.sink.wire import groups
from tests.otlp_requests import SHOP, Value, logs, payload

STREAM = uuid.uuid4()
NAMES = [column.name for column in PAYLOAD_COLUMNS]


def decoded(*records: LogRecord, **options: Any) -> Decoded:
    body = logs(records, STREAM, **options).SerializeToString()
    (chunk,) = decode_payloads(body, groups(body), SHOP, time.time_ns())
    return chunk


def reason(record: LogRecord) -> str:
    result = decoded(payload(seq=8), record, payload(seq=9))
    assert len(result.rows) == 2
    return result.rejected[0].reason


@pytest.mark.parametrize(
    ("kind", "binary"),
    [
        (kind, binary)
        for kind in PAYLOAD_KINDS
        for binary in (True, False)
        if binary or kind.shown is not Shown.SEALED
    ],
)
def test_row_holds_the_payload(kind: Any, binary: bool) -> None:
    body: Any = b"\x00\xffsealed" if kind.shown is Shown.SEALED else '{"a": "\\u0000 ü"}'
    if binary and isinstance(body, str):
        body = body.encode()
    record = payload(body, kind=kind.name, seq=3, extra={"celerytrail.payload.truncated": True})
    row = dict(zip(NAMES, decoded(record).rows[0], strict=True))
    assert row["body"] == (body if isinstance(body, bytes) else body.encode())
    assert commit(kind.name, row["salt"], row["body"]) == row["commitment"]
    assert (row["stream_id"], row["seq"], row["kind"]) == (STREAM, 3, kind.name)
    assert (row["task_id"], row["retries"], row["truncated"]) == ("task-1", 0, True)
    assert (row["namespace"], row["service"], row["environment"]) == ("shop", "orders", "test")
    assert row["day"] == row["event_time"].date()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"celerytrail.payload.commitment": "00" * 32}, "does not fit its commitment"),
        ({"celerytrail.payload.salt": "00" * 32}, "does not fit its commitment"),
        ({"celerytrail.payload.salt": "00" * 31}, "hex digits"),
        ({"celerytrail.payload.kind": "kwargs"}, "does not fit its commitment"),
        ({"celerytrail.payload.kind": "everything"}, "not a kind this version knows"),
        ({"celery.retries": -1}, "celery.retries is outside"),
        ({"celerytrail.seq": 0}, "celerytrail.seq is less than 1"),
        ({"messaging.message.id": "a\0"}, "NUL"),
    ],
)
def test_bad_payload_costs_only_itself(extra: dict[str, Value], said: str) -> None:
    assert said in reason(payload(extra=extra))


def test_bodies_that_cannot_be_shown_are_rejected() -> None:
    for body in (b"\xff", b"{", b"a\x00", b"[" * 100_000, b""):
        assert "not JSON" in reason(payload(body))
    assert "larger than" in reason(payload(b'"' + b"x" * MAX_BODY_BYTES + b'"'))
    assert "larger than" in reason(payload(b'"' + b"x" * 2 * MAX_BODY_BYTES + b'"'))
    record = payload()
    record.ClearField("body")
    assert "neither bytes nor a string" in reason(record)


def test_a_missing_part_is_named() -> None:
    record = payload()
    kept = [item for item in record.attributes if item.key != "celerytrail.payload.salt"]
    del record.attributes[:]
    record.attributes.extend(kept)
    assert reason(record) == "a payload lacks celerytrail.payload.salt"


def test_rejected_payloads_leave_their_body_behind() -> None:
    rejected = decoded(payload('["secret"]', extra={"celery.retries": -1})).rejected[0]
    assert rejected.raw is not None
    assert b"secret" not in rejected.raw
    assert b"celerytrail.payload.kind" in rejected.raw
    # With the salt a short body can be guessed from its commitment.
    assert b"celerytrail.payload.commitment" in rejected.raw
    assert b"celerytrail.payload.salt" not in rejected.raw


def test_logs_of_others_are_ignored() -> None:
    assert decoded(payload(), scope="my.app").ignored == 1
    plain_log = payload()
    plain_log.event_name = "other"
    assert decoded(plain_log).ignored == 1
    old_receiver = payload()
    old_receiver.event_name = ""
    assert len(decoded(old_receiver).rows) == 1


def test_another_deployment_is_rejected() -> None:
    result = decoded(payload(), deployment=Deployment("shop", "other", "test"))
    assert result.rows == []
    assert result.rejected[0].raw is None
