"""The SDK's own exporter encodes the same spans to the same messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import OTELResourceDetector
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from celerytrail.exporter.attributes import SCOPE_NAME
from celerytrail.exporter.shipper.identity import identify
from celerytrail.exporter.shipper.requests import Envelope, Outgoing, encode_request, split
from celerytrail.exporter.shipper.resource import resource_of
from celerytrail.exporter.shipper.span_builder import build_span
from celerytrail.exporter.spool.record import Record
from tests.integration.shipper.receiver import attributes
from tests.sdk_oracle import KINDS, normal
from tests.unit.shipper.segments import HEADER, NOW, RUN, headers, record, request, trail

RECORDS = [
    record("stream_opened", 1),
    record("sent", 2, trail=trail(), headers=headers(), start_unix_nano=NOW - 5, linked_run_id=RUN),
    record("started", 3, trail=trail(), request=request("ü" * 80), run_id=RUN),
    record("failed", 4, trail=trail(), request=request(retries=300), run_id=RUN, start_unix_nano=NOW - 9,
           runtime_ns=9, exception_class="ValueError"),
    record("stream_closed", 5, lost=2**40),
    record("sent", 6, trail=trail(), headers=headers(), start_unix_nano=NOW - 5, chord_headers=(RUN, 2)),
]  # fmt: skip


def readable(item: Record) -> ReadableSpan:
    """Return the SDK's span with what the identity page says, not with what we encoded."""
    span = Span.FromString(build_span(item, identify(HEADER, item), {"args": bytes(32)}))
    context = SpanContext(
        int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big"), is_remote=False
    )
    remote = item.step.subject == "task" and item.step.name not in ("sent", "send_failed")
    parent = (
        SpanContext(context.trace_id, int.from_bytes(span.parent_span_id, "big"), is_remote=remote)
        if span.parent_span_id
        else None
    )
    return ReadableSpan(
        name=span.name,
        context=context,
        parent=parent,
        resource=resource_of(HEADER),
        attributes=attributes(span),
        links=[
            Link(
                SpanContext(
                    int.from_bytes(li.trace_id, "big"), int.from_bytes(li.span_id, "big"), is_remote=True
                ),
                {item.key: item.value.string_value for item in li.attributes},
            )
            for li in span.links
        ],
        kind=KINDS[span.kind],
        status=Status(StatusCode(span.status.code)),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=InstrumentationScope(SCOPE_NAME, HEADER.agent_version),
    )  # fmt: skip


def test_a_request_is_the_one_that_the_sdk_would_send() -> None:
    envelope = Envelope.of(HEADER)
    ours = ExportTraceServiceRequest.FromString(
        encode_request(
            [
                Outgoing(envelope, build_span(item, identify(HEADER, item), {"args": bytes(32)}))
                for item in RECORDS
            ]
        )
    )
    theirs = encode_spans([readable(item) for item in RECORDS])
    assert normal(ours) == normal(theirs)


def test_the_resource_is_read_as_the_sdk_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    for text in ("team=blue,region=eu%20west", "a=b=c, d = e%2Cf ,=x", "", "k=", "ü=%C3%BC"):
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", text)
        theirs = dict(OTELResourceDetector().detect().attributes)
        theirs.pop("", None)
        ours: dict[str, Any] = dict(
            resource_of(replace(HEADER, resource_attributes=text)).attributes
        )
        assert theirs.items() <= ours.items()
        assert ours["service.name"] == "orders"
        assert ours["process.pid"] == 4321
        assert ours["celerytrail.stream.id"] == HEADER.stream_id


def test_requests_are_split_by_number_and_size() -> None:
    envelope = Envelope.of(HEADER)
    small = [Outgoing(envelope, b"x")] * 5000
    assert [len(part) for part in split(small)] == [2048, 2048, 904]
    large = [Outgoing(envelope, b"x" * 700_000)] * 3
    assert [len(part) for part in split(large)] == [1, 1, 1]
    assert list(split([])) == []


def test_logs_have_the_same_frame() -> None:
    envelope = Envelope.of(HEADER)
    request = ExportLogsServiceRequest.FromString(
        encode_request([Outgoing(envelope, b""), Outgoing(envelope, b"")])
    )
    (resource,) = request.resource_logs
    assert attributes(resource.resource)["service.name"] == "orders"
    assert resource.scope_logs[0].scope.name == SCOPE_NAME
    assert len(resource.scope_logs[0].log_records) == 2
