"""Any bytes are a request or a 400; whatever is a request becomes rows, rejections or nothing."""

from __future__ import annotations

import time
import uuid

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from celerytrail.exporter.attributes import ATTRIBUTES, SPAN_COLUMNS, STEPS
from celerytrail.exporter.sink.decode import decode_spans
from celerytrail.exporter.sink.payloads import decode_payloads
from celerytrail.exporter.sink.refusal import RequestRefused
from celerytrail.exporter.sink.wire import Group, groups, records
from tests.otlp_requests import SHOP, logs, payload, span, traces

STREAM = uuid.uuid4()
TRACES = traces([span(1), span(2)], STREAM).SerializeToString()
LOGS = logs([payload(), payload(kind="kwargs", body="{}")], STREAM).SerializeToString()


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    data = bytearray(body)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        if draw(st.booleans()):
            data[at] = draw(st.integers(0, 255))
        else:
            del data[at : at + draw(st.integers(1, 8))]
    return bytes(data)


def envelope(body: bytes) -> list[Group]:
    """What a request holds: nothing when it is refused, and then as undecodable."""
    try:
        return groups(body)
    except RequestRefused as refusal:
        if refusal.status != 400:
            raise
        return []


@given(st.binary(max_size=200) | damaged(TRACES))
@settings(max_examples=300)
def test_any_trace_body_is_decoded_or_refused(body: bytes) -> None:
    found = envelope(body)
    for chunk in decode_spans(body, found, SHOP, time.time_ns()):
        assert len(chunk.rows) + len(chunk.rejected) + chunk.ignored == chunk.received
        for row in chunk.rows:
            for column, value in zip(SPAN_COLUMNS, row, strict=True):
                assert column.nullable or value is not None


@given(st.binary(max_size=200) | damaged(LOGS))
@settings(max_examples=300)
def test_any_log_body_is_decoded_or_refused(body: bytes) -> None:
    found = envelope(body)
    for chunk in decode_payloads(body, found, SHOP, time.time_ns()):
        assert len(chunk.rows) + len(chunk.rejected) + chunk.ignored == chunk.received


VALUES = st.one_of(
    st.text(max_size=20).map(lambda text: AnyValue(string_value=text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: AnyValue(int_value=number)),
    st.booleans().map(lambda flag: AnyValue(bool_value=flag)),
    st.floats().map(lambda number: AnyValue(double_value=number)),
    st.binary(max_size=8).map(lambda data: AnyValue(bytes_value=data)),
    st.just(AnyValue()),
)
NAMES = st.sampled_from([attribute.name for attribute in ATTRIBUTES]) | st.text(max_size=8)


@given(
    st.dictionaries(NAMES, VALUES, max_size=12),
    st.sampled_from([step.name for step in STEPS]),
    st.integers(0, 2**64 - 1),
)
@settings(max_examples=300)
def test_any_attributes_are_stored_or_rejected(
    extra: dict[str, AnyValue], step: str, end: int
) -> None:
    extra.pop("celerytrail.step", None)
    extra.pop("celerytrail.seq", None)
    body = traces([span(1, step, end=end, extra=extra)], STREAM).SerializeToString()
    (chunk,) = decode_spans(body, groups(body), SHOP, time.time_ns())
    assert len(chunk.rows) + len(chunk.rejected) == 1
    assert not any("\0" in value for row in chunk.rows for value in row if isinstance(value, str))


def test_the_walk_sees_what_the_official_parser_sees() -> None:
    request = ExportTraceServiceRequest()
    request.MergeFrom(traces([span(1), span(2)], STREAM))
    request.resource_spans.add()
    request.resource_spans.add().scope_spans.add()
    request.MergeFrom(traces([span(3)], uuid.uuid4(), scope="other"))
    body = request.SerializeToString()
    walked = [(group.resource, group.scope, list(records(body, group))) for group in groups(body)]
    parsed = [
        (
            resource.resource.SerializeToString(),
            scope.scope.SerializeToString(),
            [one.SerializeToString() for one in scope.spans],
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        if scope.spans
    ]
    assert walked == parsed


def test_every_cut_of_a_request_is_refused_or_smaller() -> None:
    for body in (TRACES, LOGS):
        for length in range(1, len(body)):
            try:
                found = groups(body[:length])
            except RequestRefused:
                continue
            assert sum(len(list(records(body, group))) for group in found) < 2


def test_log_and_trace_requests_share_their_envelope() -> None:
    request = ExportLogsServiceRequest.FromString(LOGS)
    (group,) = groups(LOGS)
    assert [
        record.SerializeToString() for record in request.resource_logs[0].scope_logs[0].log_records
    ] == list(records(LOGS, group))
