"""One span, log record, resource or scope out of the value that its OTLP/JSON was parsed to."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def span_from_json(value: Any) -> Span:
    """Return one span of OTLP/JSON; unknown fields are ignored, wrong ones raise ValueError or TypeError."""
    get = _object(value).get
    span = Span(
        trace_id=_hex(get("traceId")),
        span_id=_hex(get("spanId")),
        parent_span_id=_hex(get("parentSpanId")),
        trace_state=_text(get("traceState")),
        flags=_number(get("flags")),
        name=_text(get("name")),
        kind=_enum(get("kind"), Span.SpanKind),
        start_time_unix_nano=_number(get("startTimeUnixNano")),
        end_time_unix_nano=_number(get("endTimeUnixNano")),
        dropped_attributes_count=_number(get("droppedAttributesCount")),
        attributes=_attributes(get("attributes")),
    )
    for link in _list(get("links")):
        of = _object(link).get
        span.links.add(
            trace_id=_hex(of("traceId")),
            span_id=_hex(of("spanId")),
            trace_state=_text(of("traceState")),
            attributes=_attributes(of("attributes")),
        )
    status = get("status")
    if status is not None:
        span.status.code = _enum(_object(status).get("code"), Status.StatusCode)
    return span


def log_record_from_json(value: Any) -> LogRecord:
    """Return one log record of OTLP/JSON; unknown fields are ignored, wrong ones raise ValueError or TypeError."""
    get = _object(value).get
    record = LogRecord(
        time_unix_nano=_number(get("timeUnixNano")),
        observed_time_unix_nano=_number(get("observedTimeUnixNano")),
        severity_number=_enum(get("severityNumber"), SeverityNumber),
        severity_text=_text(get("severityText")),
        event_name=_text(get("eventName")),
        trace_id=_hex(get("traceId")),
        span_id=_hex(get("spanId")),
        attributes=_attributes(get("attributes")),
    )
    if get("body") is not None:
        record.body.CopyFrom(_any_value(get("body")))
    return record


def resource_from_json(value: Any) -> Resource:
    """Return a resource of OTLP/JSON; raises as ``span_from_json``."""
    return Resource(attributes=_attributes(_object(value or {}).get("attributes")))


def scope_from_json(value: Any) -> InstrumentationScope:
    """Return an instrumentation scope of OTLP/JSON; raises as ``span_from_json``."""
    get = _object(value or {}).get
    return InstrumentationScope(name=_text(get("name")), version=_text(get("version")))


def _attributes(value: Any) -> list[KeyValue]:
    return [
        KeyValue(key=_text(_object(item).get("key")), value=_any_value(item.get("value")))
        for item in _list(value)
    ]


def _any_value(value: Any) -> AnyValue:
    result = AnyValue()
    for name, content in _object(value or {}).items():
        if content is None:
            continue
        if name == "stringValue":
            result.string_value = _text(content)
        elif name == "intValue":
            result.int_value = _number(content)
        elif name == "boolValue":
            if not isinstance(content, bool):
                raise ValueError("boolValue")
            result.bool_value = content
        elif name == "doubleValue":
            result.double_value = float(content)
        elif name == "bytesValue":
            result.bytes_value = base64.b64decode(_text(content), validate=True)
        elif name == "arrayValue":
            values = [_any_value(item) for item in _list(_object(content).get("values"))]
            result.array_value.values.extend(values)
            result.array_value.SetInParent()
        elif name == "kvlistValue":
            result.kvlist_value.values.extend(_attributes(_object(content).get("values")))
            result.kvlist_value.SetInParent()
    return result


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError("not an array")
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _hex(value: Any) -> bytes:
    return bytes.fromhex(_text(value))


def _number(value: Any) -> int:
    """Return an integer written as number or as string, as protobuf's JSON allows both."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, str, float)):
        raise TypeError("not a number")
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError("not a whole number")
    return number


def _enum(value: Any, kinds: Any) -> Any:
    """Return the number of an enum value given as number or name."""
    if isinstance(value, str) and not value.lstrip("-").isdigit():
        return kinds.Value(value)
    return _number(value)
