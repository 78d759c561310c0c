"""How the spans of each step of a task look: their names, kinds and operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, slots=True)
class Form:
    """How the spans of a step look: first word of the name, what follows it, kind, operation."""

    word: str
    follows: str
    kind: Span.SpanKind.ValueType
    operation: str
    operation_type: str | None = None
    failed: bool = False
    parent_is_remote: bool = True


_RUN = Form("run", "task", Span.SPAN_KIND_CONSUMER, "process", "process")
_FAILED_RUN = Form("run", "task", Span.SPAN_KIND_CONSUMER, "process", "process", failed=True)
_SEND = "send"
FORMS: Mapping[str, Form] = {
    "sent": Form(_SEND, "queue", Span.SPAN_KIND_PRODUCER, _SEND, _SEND, parent_is_remote=False),
    "send_failed": Form(
        _SEND, "queue", Span.SPAN_KIND_PRODUCER, _SEND, _SEND, failed=True, parent_is_remote=False
    ),
    "received": Form("received", "task", Span.SPAN_KIND_INTERNAL, "receive", "receive"),
    "started": Form("wait", "queue", Span.SPAN_KIND_INTERNAL, "wait"),
    "succeeded": _RUN,
    "failed": _FAILED_RUN,
    "retried": _RUN,
    "ignored": _RUN,
    "rejected": _RUN,
    "aborted": _RUN,
    "lost": _FAILED_RUN,
    "unknown": Form("unknown", "task", Span.SPAN_KIND_INTERNAL, "unknown", failed=True),
    "malformed": Form("malformed", "task", Span.SPAN_KIND_INTERNAL, "malformed", failed=True),
}
"""The form of each step that has one of its own, by its name."""
