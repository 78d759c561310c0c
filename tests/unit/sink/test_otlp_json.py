"""OTLP/JSON and protobuf are the same request, and JSON is walked within bounds."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from celerytrail.exporter.sink.decode import decode_spans
from celerytrail.exporter.sink.otlp_json import logs_from_json, traces_from_json
from celerytrail.exporter.sink.refusal import RequestRefused
from celerytrail.exporter.sink.wire import groups
from tests.otlp_requests import SHOP, key_values, logs, payload, span, traces

STREAM = uuid.uuid4()
_IDS = {"traceId", "spanId", "parentSpanId"}


def otlp_json(message: Message) -> bytes:
    """Protobuf's own JSON mapping, with ids in hex as OTLP wants them."""

    def hexed(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: base64.b64decode(item).hex() if key in _IDS else hexed(item)
                for key, item in value.items()
            }
        return [hexed(item) for item in value] if isinstance(value, list) else value

    return json.dumps(hexed(json_format.MessageToDict(message))).encode()


def rich_traces() -> ExportTraceServiceRequest:
    one = span(
        2**40,
        extra={
            "list": AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=-(2**63))])),
            "map": AnyValue(kvlist_value=KeyValueList(values=key_values({"a": 'q"\\ ü\n'}))),
            "bytes": b"\x00\xff",
            "float": 1.25,
            "empty list": AnyValue(array_value=ArrayValue()),
            "nothing": AnyValue(),
        },
    )
    one.links.add(trace_id=b"t" * 16, span_id=b"s" * 8).attributes.extend(key_values({"l": "x"}))
    one.status.code = Status.STATUS_CODE_ERROR
    one.trace_state = "a=b"
    return traces([one, span(2)], STREAM)


def test_traces_in_json_are_the_same_message() -> None:
    request = rich_traces()
    result = traces_from_json(otlp_json(request))
    assert result.unreadable == 0
    assert ExportTraceServiceRequest.FromString(result.body) == request


def test_logs_in_json_are_the_same_message() -> None:
    request = logs([payload(), payload(b"\x00\xff", kind="body")], STREAM)
    result = logs_from_json(otlp_json(request))
    assert ExportLogsServiceRequest.FromString(result.body) == request


def test_json_and_protobuf_give_the_same_rows() -> None:
    request = rich_traces()
    now = time.time_ns()
    bodies = (request.SerializeToString(), traces_from_json(otlp_json(request)).body)
    rows = [list(decode_spans(body, groups(body), SHOP, now)) for body in bodies]
    assert rows[0] == rows[1]
    assert len(rows[0][0].rows) == 2


def test_liberties_of_the_json_mapping() -> None:
    text = b"""
    { "unknown": {"x": ["]}", {}]}, "resourceSpans" : [ {
        "scopeSpans": [ { "spans": [ {
            "name": "n\\u00e4me", "kind": "SPAN_KIND_CONSUMER", "startTimeUnixNano": 17,
            "endTimeUnixNano": "18", "newField": [1, 2], "status": {"code": "STATUS_CODE_ERROR"},
            "attributes": [{"key": "i", "value": {"intValue": 5}}, {"key": "n", "value": null}]
        } ], "scope": {"name": "celerytrail"} } ],
        "resource": null, "schemaUrl": "u" }, {} ] }"""
    request = ExportTraceServiceRequest.FromString(traces_from_json(text).body)
    group = request.resource_spans[0].scope_spans[0]
    assert group.scope.name == "celerytrail"
    (one,) = group.spans
    assert (one.name, one.kind, one.status.code) == ("näme", 5, 2)
    assert (one.start_time_unix_nano, one.end_time_unix_nano) == (17, 18)
    assert one.attributes[0].value.int_value == 5
    assert one.attributes[1].value.WhichOneof("value") is None


@pytest.mark.parametrize("text", ["{}", '{"resourceSpans": []}', '{"resourceSpans": null}', " {} "])
def test_nothing_is_a_request_too(text: str) -> None:
    assert traces_from_json(text.encode()).body == b""


@pytest.mark.parametrize(
    "bad",
    [
        '{"name": 5}',
        '{"traceId": "xyz"}',
        '{"startTimeUnixNano": "soon"}',
        '{"startTimeUnixNano": 1.5}',
        '{"startTimeUnixNano": -1}',
        '{"kind": "SPAN_KIND_NONE"}',
        '{"attributes": {}}',
        '{"attributes": [{"key": "a", "value": {"boolValue": "yes"}}]}',
        '{"attributes": [{"key": "a", "value": {"bytesValue": "*"}}]}',
        '{"name": "\\ud800"}',
        '{"name": nonsense}',
        '{"name" "x"}',
        "17",
        '{"name": "' + "x" * (2 * 1024 * 1024) + '"}',
        '{"attributes": [{"key": "a", "value": '
        + '{"arrayValue": {"values": [' * 20000
        + "]}}" * 20000
        + "}]}",
    ],
    ids=range(15),
)
def test_bad_span_costs_only_itself(bad: str) -> None:
    text = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"},BAD,{"name":"b"}]}]}]}'
    result = traces_from_json(text.replace("BAD", bad).encode())
    request = ExportTraceServiceRequest.FromString(result.body)
    assert [one.name for one in request.resource_spans[0].scope_spans[0].spans] == ["a", "b"]
    assert result.unreadable == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        '{"a":1}x',
        '{"a":"\\"}',
        '{"a":[[}',
        '{"resourceSpans":{}}',
        '{"resourceSpans":[1]}',
        '{"resourceSpans":[{}',
        '{"resourceSpans":[{"resource":{"attributes":5}}]}',
        "\xff",
    ],
)
def test_what_is_no_request_is_400(text: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        traces_from_json(text.encode("latin-1"))
    assert caught.value.status == 400


@given(st.text(alphabet='{}[]",:\\ a1n', max_size=60))
def test_any_text_is_a_request_or_a_400(text: str) -> None:
    for candidate in (text, '{"resourceSpans":[{"scopeSpans":[{"spans":[' + text):
        try:
            traces_from_json(candidate.encode())
        except RequestRefused as refusal:
            status = refusal.status
        else:
            status = 400
        assert status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_any_json_is_skipped_right(ignored: Any, also: Any) -> None:
    text = json.dumps({"x": ignored, "resourceSpans": [{"y": also, "scopeSpans": []}], "z": also})
    assert traces_from_json(text.encode()).body == b"\x0a\x00"
