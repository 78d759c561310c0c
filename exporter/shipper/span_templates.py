"""Spans of one task and step differ in ids, numbers and times: the rest of their bytes is remembered.

A template is made by ``build_span`` itself, see ``template_marks``, so that there is one definition
of how a span looks. What is rare, such as what has links, a task without a trail or ids that are no
UUIDs, has no template.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Mapping
from typing import Any

from celerytrail.exporter.attributes import COMMITMENT_PREFIX
from celerytrail.exporter.shipper.identity import Identity, span_id_of
from celerytrail.exporter.shipper.message_attributes import (
    canvas_attributes,
    message_ids,
    relations,
)
from celerytrail.exporter.shipper.otlp_bytes import SPAN, constant_text, digest, integer, text
from celerytrail.exporter.shipper.otlp_records import PARENT, span_times
from celerytrail.exporter.shipper.span_builder import build_span
from celerytrail.exporter.shipper.step_attributes import error_attributes, text_or_none
from celerytrail.exporter.shipper.template_marks import template_of
from celerytrail.exporter.spool.record import Record

_MAX_TEMPLATES = 2048
_LONGEST_QUEUE = 256  # it comes from a message: what is remembered must stay bounded
_SENT = "sent"
_MESSAGES = frozenset((_SENT, "received"))
_STARTED = "started"
_ENDS = frozenset(("succeeded", "failed", "retried", "ignored", "rejected"))
_STEPS = _MESSAGES | _ENDS | {_STARTED}
_RARE: Mapping[str, tuple[str, ...]] = {
    "sent": ("linked_run_id", "chord_headers"),
    "failed": ("child_pid", "exit_code", "signum", "memory_bytes"),
}
_NO_NAMES: tuple[str, ...] = ()
_RUN_START = text(SPAN, "celery.run.id", "0" * 16)[:-16]


class SpanTemplates:
    """Builds spans out of templates, and makes those as they are needed."""

    def __init__(self) -> None:
        self._templates: dict[tuple[Any, ...], bytes | None] = {}

    def build(
        self,
        record: Record,
        identity: Identity,
        commitments: Mapping[str, bytes],
        *,
        withheld: str | None = None,
        arguments: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """Return what ``build_span`` returns for the same arguments; raises as that."""
        span = None if arguments else self._of_template(record, identity)
        if span is None:
            return build_span(record, identity, commitments, withheld=withheld, arguments=arguments)
        if withheld:
            span += constant_text(SPAN, "celerytrail.body.withheld", withheld)
        if not commitments:
            return span
        return span + b"".join(
            [
                digest(SPAN, COMMITMENT_PREFIX + kind, commitment)
                for kind, commitment in commitments.items()
            ]
        )

    def _of_template(self, record: Record, identity: Identity) -> bytes | None:
        (
            trace_id, span_id, parent, send_id, sent, _, task_id, _, _, start, end, trail, facts, key,
        ) = identity  # fmt: skip
        step, seq, _, fields = record
        name = step.name
        if key is None or trail is None or task_id is None or name not in _STEPS:
            return None
        for rare in _RARE.get(name, _NO_NAMES):
            if fields[rare] is not None:
                return None
        wait = run = canvas = size = error = runtime = b""
        redelivered = False
        if name in _MESSAGES:
            octets = fields["body_size"]
            if type(octets) is not int and isinstance(fields["body"], bytes):
                octets = len(fields["body"])
            if type(octets) is int:
                size = integer(SPAN, "celery.body_size", octets)
            if name == _SENT:
                if fields["chord_body_id"] is not None or fields["chain_length"] is not None:
                    canvas = canvas_attributes(fields)
            else:
                redelivered = fields["redelivered"] is True
        else:
            run_id = span_id_of(fields["run_id"])
            if run_id is not None:
                run = _RUN_START + hexlify(run_id)
            if name == _STARTED:
                if sent is None or sent > end:
                    return None
                wait = integer(SPAN, "celery.queue_wait_us", (end - sent) // 1000)
                start = sent
            else:
                if fields["exception_class"] is not None:
                    error = error_attributes(fields)
                took = fields["runtime_ns"]
                if type(took) is int and took >= 0:
                    runtime = integer(SPAN, "celery.runtime_us", took // 1000)
        queue = trail.queue
        if len(queue) > _LONGEST_QUEUE:
            return None
        place = name, key, queue, redelivered
        template = self._templates.get(place)
        if template is None:
            if place in self._templates:
                return None
            template = template_of(record, identity, queue)
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            self._templates[place] = template
            if template is None:
                return None
        return template % (
            trace_id,
            span_id,
            PARENT % parent if parent else b"",
            span_times(start, end),
            integer(SPAN, "celerytrail.seq", seq),
            wait,
            message_ids(task_id, text_or_none(facts.get("root_id")), send_id, sent, False),
            run,
            canvas,
            relations(trail, facts),
            size,
            error,
            runtime,
        )
