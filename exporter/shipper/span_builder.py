"""Builds the OpenTelemetry span of a spool record, see ``docs/design/identity.md``.

One record is one span, and the same record is always the same span, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import COMMITMENT_PREFIX
from celerytrail.exporter.shipper import timestamps
from celerytrail.exporter.shipper.identity import Identity
from celerytrail.exporter.shipper.links import links_of
from celerytrail.exporter.shipper.message_attributes import (
    shape_of,
    step_attributes,
    task_attributes,
)
from celerytrail.exporter.shipper.otlp_bytes import (
    SPAN,
    constant_text,
    digest,
    integer,
    long_text,
)
from celerytrail.exporter.shipper.otlp_records import span_head
from celerytrail.exporter.shipper.span_forms import FORMS
from celerytrail.exporter.shipper.step_attributes import ADDERS, text_or_none
from celerytrail.exporter.spool.record import Record


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
    fields = record.fields
    step = record.step.name
    form = FORMS.get(step)
    start = identity.start_time
    attributes = [integer(SPAN, "celerytrail.seq", record.seq)]
    add = attributes.append
    if identity.task_id is not None:
        name, kind, said = shape_of(step, identity, fields)
        if step == "started":
            start = _wait(identity, add)
        add(said)
        add(task_attributes(identity, fields))
    else:
        name = (text_or_none(fields.get("kind")) or step) if step == "group" else step
        kind = form.kind if form else Span.SPAN_KIND_INTERNAL
        add(step_attributes(step))
    for adder in ADDERS[step]:
        adder(fields, add)
    if withheld:
        add(constant_text(SPAN, "celerytrail.body.withheld", withheld))
    for payload_kind, commitment in commitments.items():
        add(digest(SPAN, COMMITMENT_PREFIX + payload_kind, commitment))
    if arguments:
        for argument, shown in arguments.items():
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
        remote_parent=remote and bool(identity.parent_span_id) and record.step.subject == "task",
    )
    return head + b"".join(attributes)


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
