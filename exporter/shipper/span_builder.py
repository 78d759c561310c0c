"""Builds the OpenTelemetry span of a spool record, see ``docs/design/identity.md``.

One record is one span, and the same record is always the same span, byte for byte.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import COMMITMENT_PREFIX, STEP_BY_NAME
from celerytrail.exporter.shipper import timestamps
from celerytrail.exporter.shipper.fingerprint import fingerprint
from celerytrail.exporter.shipper.identity import Identity, span_id_of
from celerytrail.exporter.shipper.links import chord_headers, links_of
from celerytrail.exporter.shipper.otlp_bytes import (
    MAX_REMEMBERED,
    SPAN,
    constant_text,
    digest,
    integer,
    long_text,
    text,
    true,
)
from celerytrail.exporter.shipper.otlp_records import span_head
from celerytrail.exporter.spool.record import REQUEST, Record
from celerytrail.exporter.spool.trail import Trail

_CHORD_UNLOCK = "celery.chord_unlock"


@dataclass(frozen=True, slots=True)
class _Form:
    """How the spans of a step look: first word of the name, what follows it, kind, operation."""

    word: str
    follows: str
    kind: Span.SpanKind.ValueType
    operation: str
    operation_type: str | None = None
    failed: bool = False
    parent_is_remote: bool = True


_RUN = _Form("run", "task", Span.SPAN_KIND_CONSUMER, "process", "process")
_FAILED_RUN = _Form("run", "task", Span.SPAN_KIND_CONSUMER, "process", "process", failed=True)
_SEND = "send"
_FORMS: Mapping[str, _Form] = {
    "sent": _Form(_SEND, "queue", Span.SPAN_KIND_PRODUCER, _SEND, _SEND, parent_is_remote=False),
    "send_failed": _Form(
        _SEND, "queue", Span.SPAN_KIND_PRODUCER, _SEND, _SEND, failed=True, parent_is_remote=False
    ),
    "received": _Form("received", "task", Span.SPAN_KIND_INTERNAL, "receive", "receive"),
    "started": _Form("wait", "queue", Span.SPAN_KIND_INTERNAL, "wait"),
    "succeeded": _RUN,
    "failed": _FAILED_RUN,
    "retried": _RUN,
    "ignored": _RUN,
    "rejected": _RUN,
    "aborted": _RUN,
    "lost": _FAILED_RUN,
    "unknown": _Form("unknown", "task", Span.SPAN_KIND_INTERNAL, "unknown", failed=True),
    "malformed": _Form("malformed", "task", Span.SPAN_KIND_INTERNAL, "malformed", failed=True),
}

# Facts of the message or request that become attributes unchanged: name there, attribute.
_INTEGERS = (
    ("group_index", "celery.group_index"),
    ("replaced_task_nesting", "celery.replaced_nesting"),
)
_FLAGS = (("is_eager", "celery.is_eager"), ("ignore_result", "celery.ignore_result"))
_CHILD_STEPS = ("failed", "child_exited")
_CHILD_NUMBERS = (
    ("child_pid", "celery.child.pid"),
    ("exit_code", "celery.child.exit_code"),
    ("memory_bytes", "celery.child.memory_bytes"),
)
_WORKER_TEXTS = (
    ("pool", "celery.pool"),
    ("queues", "celery.queues"),
    ("celery_version", "celery.version"),
    ("how", "celery.shutdown_how"),
)
_SPOOL_NUMBERS = (
    ("spool_bytes", "celerytrail.spool.bytes"),
    ("spool_segments", "celerytrail.spool.segments"),
    ("lag_ms", "celerytrail.spool.lag_ms"),
    ("rejected", "celerytrail.spool.rejected"),
)


def build_span(
    record: Record,
    identity: Identity,
    commitments: Mapping[str, bytes],
    *,
    withheld: str | None = None,
    arguments: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return the encoded ``opentelemetry.proto.trace.v1.Span`` of a record.

    ``commitments`` are those of its payload items by kind, ``withheld`` says why its body was not
    kept, ``arguments`` are redacted args and kwargs for the span itself, where settings ask for it.
    """
    step = record.step
    fields, facts = record.fields, identity.facts
    form = _FORMS.get(step.name)
    out = [integer(SPAN, "celerytrail.seq", record.seq)]
    add = out.append
    start = identity.start_time
    kind = form.kind if form else Span.SPAN_KIND_INTERNAL
    name = step.name
    queue: str | None = None

    if identity.task_id is not None:
        queue = _queue(identity, fields)
        task = _text(facts.get("task"))
        if form is None:
            name = f"{step.name} {task}" if task else step.name
        else:
            follows = queue if form.follows == "queue" else task
            name = f"{form.word} {follows}" if follows else form.word
        if step.name == "started":
            start = _wait(identity, add)
        add(_message(record, identity, form, task, queue))
        _add_task(identity, fields, add)
    else:
        add(_step_attributes(step.name))
        if step.name == "group":
            name = _text(fields.get("kind")) or "group"
            _add_group(fields, add)
    _add_step(step.name, fields, add)
    if step.name == "lost":
        add(true(SPAN, "celerytrail.inferred"))
    if withheld:
        add(constant_text(SPAN, "celerytrail.body.withheld", withheld))
    for payload_kind, commitment in commitments.items():
        add(digest(SPAN, COMMITMENT_PREFIX + payload_kind, commitment))
    for argument, shown in (arguments or {}).items():
        add(long_text(SPAN, f"celery.{argument}", shown))

    remote = form is None or form.parent_is_remote
    head = span_head(
        identity.trace_id,
        identity.span_id,
        identity.parent_span_id,
        name,
        kind,
        start,
        identity.end_time,
        links=links_of(identity.trace_id, fields),
        failed=form is not None and form.failed,
        remote_parent=remote and bool(identity.parent_span_id) and step.subject == "task",
    )
    return head + b"".join(out)


def _wait(identity: Identity, add: Callable[[bytes], None]) -> int:
    """Return when the wait for a worker began, and add how long it was.

    It begins with the send, or with the ETA if that is later. Clocks of two hosts differ: a wait
    that would be negative is shown as none, and by how much is said.
    """
    began = None if identity.derived else identity.sent_unix_nano
    eta = timestamps.parse(identity.facts.get("eta"))
    if eta is not None:
        began = max(began or 0, timestamps.unix_nano(eta))
    if began is None:
        return identity.end_time
    if began > identity.end_time:
        add(integer(SPAN, "celerytrail.clock_skew_us", (began - identity.end_time) // 1000))
        began = identity.end_time
    add(integer(SPAN, "celery.queue_wait_us", (identity.end_time - began) // 1000))
    return began


@lru_cache(maxsize=64)
def _step_attributes(step: str) -> bytes:
    return text(SPAN, "celerytrail.step", step) + text(
        SPAN, "celery.event", STEP_BY_NAME[step].event
    )


def _message(
    record: Record, identity: Identity, form: _Form | None, task: str | None, queue: str | None
) -> bytes:
    fields, facts = record.fields, identity.facts
    exchange = _text(fields.get("exchange")) or _text(facts.get("exchange"))
    routing_key = _text(fields.get("routing_key")) or _text(facts.get("routing_key"))
    origin, content_type = _text(facts.get("origin")), _text(fields.get("content_type"))
    encode: Callable[..., bytes] = _message_attributes
    if len(f"{task}{queue}{exchange}{routing_key}{origin}{content_type}") > MAX_REMEMBERED:
        encode = _message_attributes.__wrapped__
    return encode(
        record.step.name,
        form,
        task,
        queue,
        exchange,
        routing_key,
        origin,
        content_type,
        _priority(fields, facts),
        identity.retries,
    )


@lru_cache(maxsize=2048)
def _message_attributes(
    step: str,
    form: _Form | None,
    task: str | None,
    queue: str | None,
    exchange: str | None,
    routing_key: str | None,
    origin: str | None,
    content_type: str | None,
    priority: int | None,
    retries: int,
) -> bytes:
    """Return what is the same for many messages, so that it is encoded once."""
    out = [
        _step_attributes(step),
        text(SPAN, "messaging.system", "celery"),
        text(SPAN, "messaging.operation.name", form.operation if form else step),
        integer(SPAN, "celery.retries", retries),
    ]
    texts = (
        ("messaging.operation.type", form.operation_type if form else None),
        ("messaging.destination.name", queue),
        ("celery.task", task),
        ("celery.exchange", exchange),
        ("celery.routing_key", routing_key),
        ("celery.origin", origin),
        ("celery.content_type", content_type),
    )
    out += [text(SPAN, attribute, value) for attribute, value in texts if value]
    if priority is not None:
        out.append(integer(SPAN, "celery.priority", priority))
    return b"".join(out)


@lru_cache(maxsize=4096)
def _message_ids(
    task_id: str,
    root: str | None,
    send_id: bytes | None,
    sent_unix_nano: int | None,
    derived: bool,
) -> bytes:
    """Return what the steps of one message have in common: they often come after each other."""
    out = [text(SPAN, "messaging.message.id", task_id)]
    if root:
        out.append(text(SPAN, "messaging.message.conversation_id", root))
    if send_id is not None and sent_unix_nano is not None:
        out.append(text(SPAN, "celery.send.id", send_id.hex()))
        out.append(integer(SPAN, "celery.send.time_unix_nano", sent_unix_nano))
    if derived:
        out.append(true(SPAN, "celerytrail.derived"))
    return b"".join(out)


def _priority(fields: Mapping[str, Any], facts: Mapping[str, Any]) -> int | None:
    priority = fields.get("priority")
    if priority is None:
        priority = facts.get("priority")
    return priority if type(priority) is int else None


def _add_task(identity: Identity, fields: Mapping[str, Any], add: Callable[[bytes], None]) -> None:
    facts, trail = identity.facts, identity.trail
    task_id, root = identity.task_id or "", _text(facts.get("root_id"))
    long = len(task_id) + len(root or "") > MAX_REMEMBERED
    encode: Callable[..., bytes] = _message_ids.__wrapped__ if long else _message_ids
    add(encode(task_id, root, identity.send_id, identity.sent_unix_nano, identity.derived))
    run = span_id_of(fields.get("run_id"))
    if run is not None:
        add(text(SPAN, "celery.run.id", run.hex()))
    body_id = _text(fields.get("chord_body_id"))
    if body_id:
        add(text(SPAN, "celery.chord.body_id", body_id))
    _add_canvas(facts, fields, add)
    request = fields.get("request")
    if type(request) is tuple and _is_short(request):
        # With their types: 1 and True are one key, and not one attribute.
        add(_request_attributes(trail, request, tuple(map(type, request))))
    else:
        add(_facts_attributes(trail, facts))
    if fields.get("redelivered") is True or facts.get("redelivered") is True:
        add(true(SPAN, "celery.redelivered"))
    size = fields.get("body_size")
    if type(size) is not int and isinstance(fields.get("body"), bytes):
        size = len(fields["body"])
    if type(size) is int:
        add(integer(SPAN, "celery.body_size", size))


def _is_short(values: tuple[Any, ...]) -> bool:
    # Texts and numbers alone: what can be a key, and is not worth remembering when it is long.
    length = 0
    for value in values:
        if type(value) is str:
            length += len(value)
        elif value is not None and type(value) is not int and type(value) is not bool:
            return False
    return length <= MAX_REMEMBERED


@lru_cache(maxsize=2048)
def _request_attributes(
    trail: Trail | None, request: tuple[Any, ...], _: tuple[type, ...]
) -> bytes:
    """Return what the start and the end of a run have in common: one comes soon after the other."""
    return _facts_attributes(trail, dict(zip(REQUEST, request, strict=False)))


def _facts_attributes(trail: Trail | None, facts: Mapping[str, Any]) -> bytes:
    """Return what the message or the request says of the task, but for its ids."""
    out: list[bytes] = []
    add = out.append
    # In Celery 5.7 a chord's body, and what is chained to it, name the group of the headers, which they
    # only come after: the trail knows.
    group = trail.group_id if trail else _text(facts.get("group"))
    if group:
        add(text(SPAN, "celery.group", group))
    root_group = (trail.root_group_id if trail else None) or group
    if root_group:
        add(text(SPAN, "celery.root_group", root_group))
    parent = _text(facts.get("parent_id"))
    if parent:
        add(text(SPAN, "celery.parent_id", parent))
    for name, attribute in _INTEGERS:
        number = facts.get(name)
        if type(number) is int:
            add(integer(SPAN, attribute, number))
    for name, attribute in _FLAGS:
        if facts.get(name) is True:
            add(true(SPAN, attribute))
    if facts.get("eta") is not None:
        eta = timestamps.parse(facts["eta"])
        if eta is not None:
            add(text(SPAN, "celery.eta", timestamps.rfc3339(eta)))
    if facts.get("expires") is not None:
        expires = timestamps.parse(facts["expires"])
        shown = timestamps.rfc3339(expires) if expires else str(facts["expires"])
        add(text(SPAN, "celery.expires", shown))
    limits = facts.get("timelimit")
    if isinstance(limits, (tuple, list)) and any(limit is not None for limit in limits):
        shown = ", ".join("" if limit is None else str(limit) for limit in limits)
        add(constant_text(SPAN, "celery.timelimit", shown))
    stamps = facts.get("stamped_headers")
    if isinstance(stamps, (tuple, list)) and stamps:
        add(text(SPAN, "celery.stamps", ",".join(map(str, stamps))))
    return b"".join(out)


def _add_canvas(
    facts: Mapping[str, Any], fields: Mapping[str, Any], add: Callable[[bytes], None]
) -> None:
    headers = chord_headers(fields)
    if headers is not None and headers.count:
        add(integer(SPAN, "celery.chord.size", headers.count))
    length = fields.get("chain_length")
    if type(length) is int and length > 0:
        add(integer(SPAN, "celery.chain.length", length))
    if facts.get("task") == _CHORD_UNLOCK:
        add(true(SPAN, "celery.internal"))


def _add_group(fields: Mapping[str, Any], add: Callable[[bytes], None]) -> None:
    add(constant_text(SPAN, "messaging.system", "celery"))
    for name, attribute in (
        ("group_id", "celery.group"),
        ("root_group_id", "celery.root_group"),
        ("chord_body_id", "celery.chord.body_id"),
        ("chord_body_name", "celery.chord.body"),
        ("kind", "celery.group.kind"),
    ):
        value = _text(fields.get(name))
        if value:
            add(text(SPAN, attribute, value))
    if type(fields.get("size")) is int:
        add(integer(SPAN, "celery.group.size", fields["size"]))


def _add_step(step: str, fields: Mapping[str, Any], add: Callable[[bytes], None]) -> None:
    exception = _text(fields.get("exception_class"))
    if exception:
        add(constant_text(SPAN, "error.type", exception))
        found = fingerprint(exception, fields.get("traceback"))
        add(text(SPAN, "celery.exception.fingerprint", found))
    runtime = fields.get("runtime_ns")
    if type(runtime) is int and runtime >= 0:
        add(integer(SPAN, "celery.runtime_us", runtime // 1000))
    if step in ("revoked", "expired"):
        if fields.get("terminated") is True:
            add(true(SPAN, "celery.terminated"))
        signum = _text(fields.get("signum"))
        if signum:
            add(constant_text(SPAN, "celery.signum", signum))
    if step in _CHILD_STEPS:
        for name, attribute in _CHILD_NUMBERS:
            if type(fields.get(name)) is int:
                add(integer(SPAN, attribute, fields[name]))
        ended_by = _signal_name(fields.get("signum"))
        if ended_by:
            add(constant_text(SPAN, "celery.child.signal", ended_by))
    if type(fields.get("lost")) is int:
        add(integer(SPAN, "celerytrail.lost", fields["lost"]))
    if step.startswith("worker_"):
        if type(fields.get("concurrency")) is int:
            add(integer(SPAN, "celery.concurrency", fields["concurrency"]))
        for name, attribute in _WORKER_TEXTS:
            value = fields.get(name)
            if isinstance(value, (tuple, list)):
                value = ",".join(map(str, value))
            value = _text(value)
            if value:
                add(constant_text(SPAN, attribute, value))
    if step.endswith("_heartbeat"):
        for name, attribute in _SPOOL_NUMBERS:
            if type(fields.get(name)) is int:
                add(integer(SPAN, attribute, fields[name]))
        error = _text(fields.get("delivery_error"))
        if error:
            add(constant_text(SPAN, "celerytrail.delivery.error", error))
    if step == "stream_abandoned":
        add(text(SPAN, "celerytrail.about_stream.id", str(fields.get("about_stream_id") or "")))
        for name in ("last_seq", "torn_bytes"):
            if type(fields.get(name)) is int:
                add(integer(SPAN, f"celerytrail.about_stream.{name}", fields[name]))


def _signal_name(signum: object) -> str | None:
    if type(signum) is not int:
        return None
    try:
        return signal.Signals(signum).name
    except ValueError:
        return str(signum)


def _queue(identity: Identity, fields: Mapping[str, Any]) -> str | None:
    return (
        (identity.trail.queue if identity.trail else None)
        or _text(fields.get("routing_key"))
        or _text(identity.facts.get("routing_key"))
    )


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    return None if value is None else str(value)
