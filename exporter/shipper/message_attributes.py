"""The attributes of a task's span that come from its message or request, encoded once where they come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.shipper import timestamps
from celerytrail.exporter.shipper.identity import Identity, span_id_of
from celerytrail.exporter.shipper.links import chord_headers
from celerytrail.exporter.shipper.otlp_bytes import (
    MAX_REMEMBERED,
    SPAN,
    constant_text,
    integer,
    text,
    true,
)
from celerytrail.exporter.shipper.span_forms import FORMS, Form
from celerytrail.exporter.shipper.step_attributes import text_or_none
from celerytrail.exporter.spool.trail import Trail

_CHORD_UNLOCK = "celery.chord_unlock"
_MAX_SHAPES = 2048

# Facts of the message or request that become attributes unchanged: name there, attribute.
_INTEGERS = (
    ("group_index", "celery.group_index"),
    ("replaced_task_nesting", "celery.replaced_nesting"),
)
_FLAGS = (("is_eager", "celery.is_eager"), ("ignore_result", "celery.ignore_result"))


class Shape(NamedTuple):
    """What many spans have in common: name, kind, and the attributes that say where a task went."""

    name: str
    kind: Span.SpanKind.ValueType
    attributes: bytes


_shapes: dict[tuple[Any, ...], Shape] = {}


def shape_of(step: str, identity: Identity, fields: Mapping[str, Any]) -> Shape:
    """Return the shape of a task's span; it is the same for most messages, and remembered."""
    facts, trail = identity.facts, identity.trail
    priority = fields.get("priority")
    if priority is None:
        priority = facts.get("priority")
    if type(priority) is not int:
        priority = None
    key = (
        step,
        trail.queue if trail is not None else None,
        fields.get("routing_key"),
        fields.get("exchange"),
        fields.get("content_type"),
        facts.get("task"),
        facts.get("routing_key"),
        facts.get("origin"),
        priority,
        identity.retries,
    )
    try:
        known = _shapes.get(key)
    except TypeError:
        return _shape(*key)
    if known is None:
        known = _shape(*key)
        # Nothing but texts: 1 and True are one key, and not one attribute.
        given = [value for value in key[:-2] if value is not None]
        if all(type(value) is str for value in given) and sum(map(len, given)) <= MAX_REMEMBERED:
            if len(_shapes) >= _MAX_SHAPES:
                _shapes.clear()
            _shapes[key] = known
    return known


def _shape(
    step: str,
    trail_queue: str | None,
    routing_key: object,
    exchange: object,
    content_type: object,
    task_name: object,
    requests_key: object,
    origin: object,
    priority: int | None,
    retries: int,
) -> Shape:
    form: Form | None = FORMS.get(step)
    key = text_or_none(routing_key) or text_or_none(requests_key)
    queue = trail_queue or key
    task = text_or_none(task_name)
    if form is None:
        name = f"{step} {task}" if task else step
    else:
        follows = queue if form.follows == "queue" else task
        name = f"{form.word} {follows}" if follows else form.word
    out = [
        step_attributes(step),
        text(SPAN, "messaging.system", "celery"),
        text(SPAN, "messaging.operation.name", form.operation if form else step),
        integer(SPAN, "celery.retries", retries),
    ]
    texts = (
        ("messaging.operation.type", form.operation_type if form else None),
        ("messaging.destination.name", queue),
        ("celery.task", task),
        ("celery.exchange", text_or_none(exchange)),
        ("celery.routing_key", key),
        ("celery.origin", text_or_none(origin)),
        ("celery.content_type", text_or_none(content_type)),
    )
    out += [text(SPAN, attribute, value) for attribute, value in texts if value]
    if priority is not None:
        out.append(integer(SPAN, "celery.priority", priority))
    return Shape(name, form.kind if form else Span.SPAN_KIND_INTERNAL, b"".join(out))


@lru_cache(maxsize=64)
def step_attributes(step: str) -> bytes:
    """Return what every span of a step says of it."""
    return text(SPAN, "celerytrail.step", step) + text(
        SPAN, "celery.event", STEP_BY_NAME[step].event
    )


def task_attributes(identity: Identity, fields: Mapping[str, Any]) -> bytes:
    """Return what a span says of its task: ids, run, canvas, and the facts of the message."""
    facts, trail = identity.facts, identity.trail
    task_id, root = identity.task_id or "", text_or_none(facts.get("root_id"))
    long = len(task_id) + len(root or "") > MAX_REMEMBERED
    encode: Callable[..., bytes] = message_ids.__wrapped__ if long else message_ids
    out = [encode(task_id, root, identity.send_id, identity.sent_unix_nano, identity.derived)]
    add = out.append
    run = span_id_of(fields.get("run_id"))
    if run is not None:
        add(text(SPAN, "celery.run.id", run.hex()))
    add(canvas_attributes(fields))
    if facts.get("task") == _CHORD_UNLOCK:
        add(true(SPAN, "celery.internal"))
    add(relations(trail, facts))
    _add_facts(facts, add)
    if fields.get("redelivered") is True or facts.get("redelivered") is True:
        add(true(SPAN, "celery.redelivered"))
    size = fields.get("body_size")
    if type(size) is not int and isinstance(fields.get("body"), bytes):
        size = len(fields["body"])
    if type(size) is int:
        add(integer(SPAN, "celery.body_size", size))
    return b"".join(out)


@lru_cache(maxsize=4096)
def message_ids(
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


def canvas_attributes(fields: Mapping[str, Any]) -> bytes:
    """Return what a send says of the chord and the chain that its message is in."""
    out = b""
    body_id = text_or_none(fields.get("chord_body_id"))
    if body_id:
        out = text(SPAN, "celery.chord.body_id", body_id)
    headers = chord_headers(fields)
    if headers is not None and headers.count:
        out += integer(SPAN, "celery.chord.size", headers.count)
    length = fields.get("chain_length")
    if type(length) is int and length > 0:
        out += integer(SPAN, "celery.chain.length", length)
    elif type(length) is int and length < 0:
        out += integer(SPAN, "celery.chain.left", -length)
    return out


def relations(trail: Trail | None, facts: Mapping[str, Any]) -> bytes:
    """Return what a span says of the group and the parent of its task."""
    out = b""
    # In Celery 5.7 a chord's body, and what is chained to it, name the group of the headers, which they
    # only come after: the trail knows.
    group = trail.group_id if trail else text_or_none(facts.get("group"))
    if group:
        out = text(SPAN, "celery.group", group)
    root_group = (trail.root_group_id if trail else None) or group
    if root_group:
        out += text(SPAN, "celery.root_group", root_group)
    parent = text_or_none(facts.get("parent_id"))
    return out + text(SPAN, "celery.parent_id", parent) if parent else out


def _add_facts(facts: Mapping[str, Any], add: Callable[[bytes], None]) -> None:
    """Add what the message or the request says of the task, but for ids."""
    fact = facts.get
    for name, attribute in _INTEGERS:
        number = fact(name)
        if type(number) is int:
            add(integer(SPAN, attribute, number))
    for name, attribute in _FLAGS:
        if fact(name) is True:
            add(true(SPAN, attribute))
    if fact("eta") is not None:
        eta = timestamps.parse(facts["eta"])
        if eta is not None:
            add(text(SPAN, "celery.eta", timestamps.rfc3339(eta)))
    if fact("expires") is not None:
        expires = timestamps.parse(facts["expires"])
        shown = timestamps.rfc3339(expires) if expires else str(facts["expires"])
        add(text(SPAN, "celery.expires", shown))
    limits = fact("timelimit")
    if isinstance(limits, (tuple, list)) and any(limit is not None for limit in limits):
        shown = ", ".join("" if limit is None else str(limit) for limit in limits)
        add(constant_text(SPAN, "celery.timelimit", shown))
    stamps = fact("stamped_headers")
    if isinstance(stamps, (tuple, list)) and stamps:
        add(text(SPAN, "celery.stamps", ",".join(map(str, stamps))))
