"""Which task, send, run and trace a record belongs to: the ids of ``docs/design/identity.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from celerytrail.exporter.shipper.common_key import message_key, run_key
from celerytrail.exporter.spool.record import HEADERS, REQUEST, Record
from celerytrail.exporter.spool.segment import SegmentHeader
from celerytrail.exporter.spool.traceparent import read_traceparent
from celerytrail.exporter.spool.trail import Trail, derived_trace_id, read_trail

_SEND_DOMAIN = b"celerytrail/send/v1\0"
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_RUN_STEPS = frozenset(("succeeded", "failed", "retried", "ignored", "rejected", "aborted", "lost"))
_SENT_STEPS = frozenset(("sent", "send_failed"))
_NO_FACTS: Mapping[str, Any] = {}
_MAX_RUNS = 1024


class Identity(NamedTuple):
    """The ids of one record, as bytes, and the facts about the task that all steps share.

    ``facts`` are the message headers or the request, by name. ``event_time`` is nanoseconds since
    1970. ``trail`` is None where the message carried none; then ``derived`` is true and the ids
    come from the task id. ``key`` tells what the message or run has in common with others of its
    task, see ``common_key``.
    """

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    send_id: bytes | None
    sent_unix_nano: int | None
    derived: bool
    task_id: str | None
    retries: int
    event_time: int
    start_time: int
    end_time: int
    trail: Trail | None
    facts: Mapping[str, Any]
    key: bytes | None


class _Message(NamedTuple):
    """What the records of one message, or of one run, have in common."""

    trace_id: bytes
    send_id: bytes | None
    sent_unix_nano: int | None
    derived: bool
    task_id: str | None
    retries: int
    trail: Trail | None
    facts: Mapping[str, Any]
    key: bytes | None


def identify(header: SegmentHeader, record: Record) -> Identity:
    """Work out the ids and times of a record. It raises nothing for what a message brought along.

    Raises ValueError for the end of a run without the start that it leans on.
    """
    fields = record.fields
    step = record.step.name
    end = record.time_unix_nano
    start = end
    if step in _SENT_STEPS or step in _RUN_STEPS:
        began = fields.get("start_unix_nano")
        if type(began) is int and 0 <= began <= end:
            start = began
    event_time = start if step in _SENT_STEPS else end
    if step == "group":
        return _group(header, record, event_time)

    message = _message_of(header, step, fields)
    if step in _RUN_STEPS and not message.facts and fields.get("run_id") is not None:
        raise ValueError(f"the {step} of a run whose start was not read")
    trace_id, send_id, sent, derived, task_id, retries, trail, facts, key = message
    span_id: bytes | None = None
    parent = send_id or b""
    if step in _SENT_STEPS:
        span_id = send_id
        parent = bytes.fromhex(trail.parent_span_id) if trail is not None else b""
    elif step in _RUN_STEPS and fields.get("start_unix_nano") is not None:
        # Only the process that ran it knows when it started.
        span_id = _span_id(fields.get("run_id"))
    # Without the call of a Python function that a NamedTuple's own constructor is.
    values = (
        trace_id,
        span_id or point_span_id(header.stream_id, record.seq),
        parent,
        send_id,
        sent,
        derived,
        task_id,
        retries,
        event_time,
        start,
        end,
        trail,
        facts,
        key,
    )
    return tuple.__new__(Identity, values)


def point_span_id(stream_id: str, seq: int) -> bytes:
    """Return the span id of a record that has none of its own: it depends on the record alone.

    First 8 bytes of SHA-256(stream id as 16 bytes | seq as 8 bytes, big endian).
    """
    return sha256(_stream_bytes(stream_id) + seq.to_bytes(8, "big", signed=True)).digest()[:8]


_stream_bytes = lru_cache(maxsize=64)(bytes.fromhex)


def span_id_of(text: object) -> bytes | None:
    """Return a span id given as 16 hex digits, None for anything else."""
    return _span_id(text)


def _group(header: SegmentHeader, record: Record, event_time: int) -> Identity:
    fields = record.fields
    trace_id = fields.get("trace_id")
    valid = isinstance(trace_id, str) and _TRACE_ID.fullmatch(trace_id)
    group_id = _text(fields.get("group_id")) or ""
    return Identity(
        trace_id=bytes.fromhex(str(trace_id))
        if valid
        else bytes.fromhex(derived_trace_id(group_id)),
        span_id=_span_id(fields.get("span_id")) or point_span_id(header.stream_id, record.seq),
        parent_span_id=_span_id(fields.get("parent_span_id")) or b"",
        send_id=None,
        sent_unix_nano=None,
        derived=not valid,
        task_id=None,
        retries=0,
        event_time=event_time,
        start_time=event_time,
        end_time=record.time_unix_nano,
        trail=None,
        facts=_NO_FACTS,
        key=None,
    )


# Those of the runs that are open: the end of a run has the very request of its start.
_runs: dict[int, tuple[object, object, _Message]] = {}


def _message_of(header: SegmentHeader, step: str, fields: Mapping[str, Any]) -> _Message:
    request = fields.get("request")
    if type(request) is not tuple or not request:
        return _read_message(header, fields)
    trail = fields.get("trail")
    known = _runs.pop(id(request), None)
    if known is not None and known[0] is request and known[1] is trail:
        return known[2]
    message = _read_message(header, fields)
    if message.task_id is not None and step == "started":
        if len(_runs) >= _MAX_RUNS:
            del _runs[next(iter(_runs))]
        _runs[id(request)] = request, trail, message
    return message


def _read_message(header: SegmentHeader, fields: Mapping[str, Any]) -> _Message:
    facts, key = _facts(fields)
    task_id, retries = _text(facts.get("id")), _retries(facts.get("retries"))
    trail = read_trail(fields.get("trail"))
    derived = False
    send_id: bytes | None = None
    sent: int | None = None
    if trail is not None:
        trace_id = bytes.fromhex(trail.trace_id)
        send_id = bytes.fromhex(trail.send_id)
        sent = trail.sent_unix_nano
    elif task_id is not None:
        derived = True
        caller = read_traceparent(fields.get("trail"))
        root = _text(facts.get("root_id")) or task_id
        trace_id = bytes.fromhex(derived_trace_id(root) if caller is None else caller[0])
        send_id = sha256(_SEND_DOMAIN + _bytes(task_id) + b"\0%d" % retries).digest()[:8]
        sent = retries
    else:
        # Workers and streams: one trace for what a process says about itself.
        trace_id = bytes.fromhex(derived_trace_id(header.stream_id))
    values = (trace_id, send_id, sent, derived, task_id, retries, trail, facts, key)
    return tuple.__new__(_Message, values)


def _facts(fields: Mapping[str, Any]) -> tuple[Mapping[str, Any], bytes | None]:
    headers = fields.get("headers")
    if isinstance(headers, (tuple, list)):
        return dict(zip(HEADERS, headers, strict=False)), message_key(fields)
    request = fields.get("request")
    if isinstance(request, (tuple, list)):
        return dict(zip(REQUEST, request, strict=False)), run_key(request)
    return _NO_FACTS, None


def _span_id(value: object) -> bytes | None:
    if isinstance(value, str) and _SPAN_ID.fullmatch(value):
        return bytes.fromhex(value)
    return None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    return None if value is None else str(value)


def _retries(value: object) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else 0


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
