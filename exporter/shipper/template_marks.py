"""The template of a span: what ``build_span`` makes of a record in whose places stand marks.

The bytes between the marks are the same for all records of one task, step and queue.
"""

from __future__ import annotations

from celerytrail.exporter.shipper.identity import Identity
from celerytrail.exporter.shipper.message_attributes import (
    canvas_attributes,
    message_ids,
    relations,
)
from celerytrail.exporter.shipper.otlp_bytes import SPAN, integer, text
from celerytrail.exporter.shipper.otlp_records import PARENT, span_times
from celerytrail.exporter.shipper.span_builder import build_span
from celerytrail.exporter.shipper.step_attributes import error_attributes
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.trail import Trail

_TRACE, _SPAN, _PARENT, _SEND = (
    b"\xffmark of a trace",
    b"\xffa  span",
    b"\xffparents",
    b"\xffa  send",
)
_RUN = "0ddfacedbadc0ffe"
_SEQ, _START, _END, _SIZE, _LENGTH = (
    0x5EED5EED5EED0000 + number for number in (1, 2, 0xFFFF, 3, 4)
)
_RUNTIME, _WAITED = 0x5EED5EED, 0x5EED
_SENT = _END - _WAITED * 1000
_FACTS = {"id": "\1id\2", "root_id": "\1root\2", "parent_id": "\1parent\2"}
_TRAIL = Trail(
    _TRACE.hex(), _SEND.hex(), _SENT, group_id="\1group\2", root_group_id="\1root group\2"
)
_FIELDS = {
    "run_id": _RUN,
    "chord_body_id": "\1body\2",
    "chord_headers": None,
    "chain_length": _LENGTH,
    "body": None,
    "body_size": _SIZE,
    "runtime_ns": _RUNTIME * 1000,
    "exception_class": "\1class\2",
    "traceback": None,
}
_START_IS_SENT = "started"
_MARKS: tuple[tuple[str | None, bytes], ...] = (
    (None, _TRACE),
    (None, _SPAN),
    (None, PARENT % _PARENT),
    (None, b""),
    (None, integer(SPAN, "celerytrail.seq", _SEQ)),
    (_START_IS_SENT, integer(SPAN, "celery.queue_wait_us", _WAITED)),
    (None, message_ids(_FACTS["id"], _FACTS["root_id"], _SEND, _SENT, False)),
    ("run_id", text(SPAN, "celery.run.id", _RUN)),
    ("chain_length", canvas_attributes(_FIELDS)),
    (None, relations(_TRAIL, _FACTS)),
    ("body_size", integer(SPAN, "celery.body_size", _SIZE)),
    ("exception_class", error_attributes(_FIELDS)),
    ("runtime_ns", integer(SPAN, "celery.runtime_us", _RUNTIME)),
)
"""In their order on a span: the field or step that there has to be for a mark, and the mark."""


def template_of(record: Record, identity: Identity, queue: str) -> bytes | None:
    """Return the span of a record as a format of thirteen bytes, those of ``_MARKS``.

    Returns None where a mark is not found where it belongs, or is found elsewhere too.
    """
    fields = record.fields
    step = record.step.name
    marked = identity._replace(
        trace_id=_TRACE,
        span_id=_SPAN,
        parent_span_id=_PARENT,
        send_id=_SEND,
        sent_unix_nano=_SENT,
        task_id=_FACTS["id"],
        start_time=_START,
        end_time=_END,
        trail=_TRAIL._replace(queue=queue),
        facts={**identity.facts, **_FACTS},
    )
    given = {name: _FIELDS.get(name, value) for name, value in fields.items()}
    span = build_span(Record(record.step, _SEQ, _END, given), marked, {})
    times = span_times(_SENT if step == _START_IS_SENT else _START, _END)
    parts: list[bytes] = []
    place = 0
    for needs, mark in _MARKS:
        mark = mark or times
        if needs is None or needs == step or needs in fields:
            found = span.find(mark, place)
            if found < 0 or span.count(mark) != 1:
                return None
            parts.append(span[place:found].replace(b"%", b"%%"))
            place = found + len(mark)
        parts.append(b"%b")
    parts.append(span[place:].replace(b"%", b"%%"))
    return b"".join(parts)
