"""The attributes that only some steps have, and those of a group: a table by step."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

from celerytrail.exporter.attributes import STEPS
from celerytrail.exporter.shipper.fingerprint import fingerprint
from celerytrail.exporter.shipper.otlp_bytes import SPAN, constant_text, integer, text, true
from celerytrail.exporter.spool.record import LAYOUTS

Add = Callable[[bytes], None]
Adder = Callable[[Mapping[str, Any], Add], None]

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
_GROUP_TEXTS = (
    ("group_id", "celery.group"),
    ("root_group_id", "celery.root_group"),
    ("chord_body_id", "celery.chord.body_id"),
    ("chord_body_name", "celery.chord.body"),
    ("kind", "celery.group.kind"),
)


def text_or_none(value: object) -> str | None:
    """Return what a message or a record says as text, None for nothing and for empty text."""
    if isinstance(value, str):
        return value or None
    return None if value is None else str(value)


def _add_group(fields: Mapping[str, Any], add: Add) -> None:
    add(constant_text(SPAN, "messaging.system", "celery"))
    for name, attribute in _GROUP_TEXTS:
        value = text_or_none(fields.get(name))
        if value:
            add(text(SPAN, attribute, value))
    if type(fields.get("size")) is int:
        add(integer(SPAN, "celery.group.size", fields["size"]))


def error_attributes(fields: Mapping[str, Any]) -> bytes:
    """Return what a span says of the exception of its record, nothing where there is none."""
    exception = text_or_none(fields.get("exception_class"))
    if not exception:
        return b""
    found = fingerprint(exception, fields.get("traceback"))
    return constant_text(SPAN, "error.type", exception) + text(
        SPAN, "celery.exception.fingerprint", found
    )


def _add_error(fields: Mapping[str, Any], add: Add) -> None:
    add(error_attributes(fields))


def _add_runtime(fields: Mapping[str, Any], add: Add) -> None:
    runtime = fields.get("runtime_ns")
    if type(runtime) is int and runtime >= 0:
        add(integer(SPAN, "celery.runtime_us", runtime // 1000))


def _add_revocation(fields: Mapping[str, Any], add: Add) -> None:
    if fields.get("terminated") is True:
        add(true(SPAN, "celery.terminated"))
    signum = text_or_none(fields.get("signum"))
    if signum:
        add(constant_text(SPAN, "celery.signum", signum))


def _add_child(fields: Mapping[str, Any], add: Add) -> None:
    for name, attribute in _CHILD_NUMBERS:
        if type(fields.get(name)) is int:
            add(integer(SPAN, attribute, fields[name]))
    ended_by = _signal_name(fields.get("signum"))
    if ended_by:
        add(constant_text(SPAN, "celery.child.signal", ended_by))


def _add_lost(fields: Mapping[str, Any], add: Add) -> None:
    if type(fields.get("lost")) is int:
        add(integer(SPAN, "celerytrail.lost", fields["lost"]))


def _add_worker(fields: Mapping[str, Any], add: Add) -> None:
    if type(fields.get("concurrency")) is int:
        add(integer(SPAN, "celery.concurrency", fields["concurrency"]))
    for name, attribute in _WORKER_TEXTS:
        value = fields.get(name)
        if isinstance(value, (tuple, list)):
            value = ",".join(map(str, value))
        value = text_or_none(value)
        if value:
            add(constant_text(SPAN, attribute, value))


def _add_spool(fields: Mapping[str, Any], add: Add) -> None:
    for name, attribute in _SPOOL_NUMBERS:
        if type(fields.get(name)) is int:
            add(integer(SPAN, attribute, fields[name]))
    error = text_or_none(fields.get("delivery_error"))
    if error:
        add(constant_text(SPAN, "celerytrail.delivery.error", error))


def _add_abandoned(fields: Mapping[str, Any], add: Add) -> None:
    add(text(SPAN, "celerytrail.about_stream.id", str(fields.get("about_stream_id") or "")))
    for name in ("last_seq", "torn_bytes"):
        if type(fields.get(name)) is int:
            add(integer(SPAN, f"celerytrail.about_stream.{name}", fields[name]))


def _add_inferred(_: Mapping[str, Any], add: Add) -> None:
    add(true(SPAN, "celerytrail.inferred"))


def _signal_name(signum: object) -> str | None:
    if type(signum) is not int:
        return None
    try:
        return signal.Signals(signum).name
    except ValueError:
        return str(signum)


def _adders(step: str) -> tuple[Adder, ...]:
    layout = LAYOUTS[step]
    table: tuple[tuple[bool, Adder], ...] = (
        (step == "group", _add_group),
        ("exception_class" in layout, _add_error),
        ("runtime_ns" in layout, _add_runtime),
        (step in ("revoked", "expired"), _add_revocation),
        (step in _CHILD_STEPS, _add_child),
        ("lost" in layout, _add_lost),
        (step.startswith("worker_"), _add_worker),
        (step.endswith("_heartbeat"), _add_spool),
        (step == "stream_abandoned", _add_abandoned),
        (step == "lost", _add_inferred),
    )
    return tuple(adder for belongs, adder in table if belongs)


ADDERS: Mapping[str, tuple[Adder, ...]] = {step.name: _adders(step.name) for step in STEPS}
"""What adds the attributes of a step alone, by its name, in their order on the span."""
