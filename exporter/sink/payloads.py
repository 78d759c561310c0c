"""An OTLP log request as rows of ``payloads``: pure, one log record at a time.

A row is stored only when its bytes fit the commitment it came with, so that a span never points
at something else than was captured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from celerytrail.exporter.attributes import (
    LOG_ATTRIBUTES,
    PAYLOAD_COLUMNS,
    PAYLOAD_EVENT_NAME,
    PAYLOAD_KINDS,
    Shown,
)
from celerytrail.exporter.commitment import COMMITMENT_BYTES, SALT_BYTES, commit
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.chunks import Decoded, Row, chunks
from celerytrail.exporter.sink.event_id import DayWindow, event_time
from celerytrail.exporter.sink.readers import (
    read_bool,
    read_count4,
    read_count8,
    read_hex,
    read_id,
)
from celerytrail.exporter.sink.refusal import Unstorable
from celerytrail.exporter.sink.resource import Speaker
from celerytrail.exporter.sink.wire import Group

MAX_BODY_BYTES = 512 * 1024
"""One payload item; the shipper cuts below it."""

_ENVELOPE_BYTES = 64 * 1024
_SHOWN = {kind.name: kind.shown for kind in PAYLOAD_KINDS}
_WIRE_NAME = {attribute.column: attribute.name for attribute in LOG_ATTRIBUTES}
_KIND = _WIRE_NAME["kind"]
_COMMITMENT = _WIRE_NAME["commitment"]
_SALT = _WIRE_NAME["salt"]
_TRUNCATED = _WIRE_NAME["truncated"]
_TASK_ID = _WIRE_NAME["task_id"]
_RETRIES = _WIRE_NAME["retries"]
_SEQ = _WIRE_NAME["seq"]
_NEEDED = frozenset({_COMMITMENT, _SALT, _TASK_ID, _SEQ})
_COLUMNS = tuple(column.name for column in PAYLOAD_COLUMNS)
_MAX_INT8 = 2**63 - 1


def decode_payloads(
    body: bytes, groups: Sequence[Group], deployment: Deployment, now_unix_nano: int
) -> Iterator[Decoded]:
    """Return an iterator over the rows of a log request, in chunks; arguments as for ``decode_spans``.

    Log records of another scope, or without a payload kind, are ignored.
    """
    window = DayWindow(now_unix_nano)

    def row(raw: bytes, speaker: Speaker) -> Row | None:
        return _row(raw, speaker, deployment, window)

    return chunks(body, groups, deployment, row, _bare)


def _row(raw: bytes, speaker: Speaker, deployment: Deployment, window: DayWindow) -> Row | None:
    if speaker.problem is not None:
        raise Unstorable(speaker.problem)
    if len(raw) > MAX_BODY_BYTES + _ENVELOPE_BYTES:
        raise Unstorable(f"a payload is larger than {MAX_BODY_BYTES} bytes")
    try:
        record = LogRecord.FromString(raw)
    except DecodeError:
        raise Unstorable("the log record is broken, or has text that is not UTF-8") from None
    # Receivers older than the field for it drop the event name: the kind attribute says it as well.
    if record.event_name not in ("", PAYLOAD_EVENT_NAME):
        return None
    values = {item.key: item.value for item in record.attributes}
    if _KIND not in values:
        return None
    missing = _NEEDED - values.keys()
    if missing:
        raise Unstorable(f"a payload lacks {min(missing)}")
    marks: set[str] = set()
    kind = read_id(values[_KIND], _KIND, marks)
    if kind not in _SHOWN:
        raise Unstorable(f"{_KIND} is not a kind this version knows")
    commitment = read_hex(values[_COMMITMENT], _COMMITMENT, COMMITMENT_BYTES)
    salt = read_hex(values[_SALT], _SALT, SALT_BYTES)
    seq = read_count8(values[_SEQ], _SEQ, marks)
    if seq < 1:
        raise Unstorable(f"{_SEQ} is less than 1")
    body = _body(record)
    if commit(kind, salt, body) != commitment:
        raise Unstorable("a payload does not fit its commitment")
    if _SHOWN[kind] is Shown.REDACTED:
        _check_shown(body)
    nanoseconds = record.time_unix_nano or record.observed_time_unix_nano
    if nanoseconds > _MAX_INT8:
        raise Unstorable("a time of the log record is after the year 2262")
    time = event_time(nanoseconds)
    filled: dict[str, Any] = {
        "event_time": time,
        "day": window.day(time),
        "namespace": deployment.namespace,
        "service": deployment.service,
        "environment": deployment.environment,
        "task_id": read_id(values[_TASK_ID], _TASK_ID, marks),
        "retries": read_count4(values[_RETRIES], _RETRIES, marks) if _RETRIES in values else None,
        "stream_id": speaker.stream_id,
        "seq": seq,
        "kind": kind,
        "commitment": commitment,
        "salt": salt,
        "truncated": _TRUNCATED in values and read_bool(values[_TRUNCATED], _TRUNCATED, marks),
        "body": body,
    }
    return tuple(filled[name] for name in _COLUMNS)


def _body(record: LogRecord) -> bytes:
    which = record.body.WhichOneof("value")
    if which == "bytes_value":
        body = record.body.bytes_value
    elif which == "string_value":
        body = record.body.string_value.encode()
    else:
        raise Unstorable("the body of a payload is neither bytes nor a string")
    if len(body) > MAX_BODY_BYTES:
        raise Unstorable(f"a payload is larger than {MAX_BODY_BYTES} bytes")
    return body


def _check_shown(body: bytes) -> None:
    # Panels read it as JSON: one broken item must not break the query over all of them.
    try:
        json.loads(body.decode())
    except (ValueError, RecursionError):
        raise Unstorable("a payload that is shown is not JSON in UTF-8") from None


def _bare(raw: bytes) -> bytes | None:
    """Return a log record without body and salt: quarantine keeps no user data, nor proof of it."""
    if len(raw) > MAX_BODY_BYTES + _ENVELOPE_BYTES:
        return None
    try:
        record = LogRecord.FromString(raw)
    except DecodeError:
        return None
    record.ClearField("body")
    for index in reversed(range(len(record.attributes))):
        if record.attributes[index].key == _SALT:
            del record.attributes[index]
    return record.SerializeToString()
