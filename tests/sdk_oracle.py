"""The OpenTelemetry SDK as the oracle: what its own exporter makes of the same spans."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, SpanFlags
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

KINDS = {
    Span.SPAN_KIND_INTERNAL: SpanKind.INTERNAL,
    Span.SPAN_KIND_PRODUCER: SpanKind.PRODUCER,
    Span.SPAN_KIND_CONSUMER: SpanKind.CONSUMER,
}
Plain = str | bool | int | float


def as_the_sdk_encodes(message: ResourceSpans) -> ResourceSpans:
    """Return the spans of one process as the SDK's exporter would have sent them."""
    (scope,) = message.scope_spans
    resource = Resource(values(message.resource.attributes))
    instrumentation = InstrumentationScope(scope.scope.name, scope.scope.version)
    encoded = encode_spans([_readable(span, resource, instrumentation) for span in scope.spans])
    (theirs,) = normal(encoded).resource_spans
    return theirs


def normal(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Clear empty statuses: to every receiver they are the same as none."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if not span.status.code and not span.status.message:
                    span.ClearField("status")
    return request


def values(attributes: Iterable[KeyValue]) -> dict[str, Plain]:
    """Return attributes as the plain values that a program sets."""
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value")
        for item in attributes
    }


def _readable(
    span: Span, resource: Resource, instrumentation: InstrumentationScope
) -> ReadableSpan:
    context = _context(span.trace_id, span.span_id, remote=False)
    remote = bool(span.flags & SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
    return ReadableSpan(
        name=span.name,
        context=context,
        parent=_context(span.trace_id, span.parent_span_id, remote=remote)
        if span.parent_span_id
        else None,
        resource=resource,
        attributes=values(span.attributes),  # type: ignore[arg-type]
        links=[
            Link(_context(link.trace_id, link.span_id, remote=True), values(link.attributes))  # type: ignore[arg-type]
            for link in span.links
        ],
        kind=KINDS[span.kind],
        status=Status(StatusCode(span.status.code)),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=instrumentation,
    )


def _context(trace_id: bytes, span_id: bytes, *, remote: bool) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big"), is_remote=remote
    )
