"""OTLP/JSON into the protobuf encoding, so that both take one way from there.

The JSON mapping is protobuf's, with trace and span ids in hex
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). As in the binary form the shell
is walked, and each span or log record is parsed alone: one that cannot be read costs only itself,
and objects exist for one record at a time.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from google.protobuf.message import EncodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from celerytrail.exporter.sink.refusal import RequestRefused, malformed, too_large

MAX_RECORD_TEXT = 2 * 1024 * 1024
"""JSON of one span, log record or resource; a larger one is not parsed."""

MAX_OPENED = 3_000_000
MAX_QUOTES = 10_000_000
"""Objects and arrays, and quotation marks, in one request: about twice what 32 MiB of spans have."""

_STRUCTURE = re.compile(rb'["\[\]{}]')
_SPACE = re.compile(rb"[ \t\r\n]*")
_LITERAL = re.compile(rb"[-+0-9A-Za-z.]+")
_OPEN = b"[{"
_UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError, EncodeError)


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A request in protobuf, and how many of its records could not be read."""

    body: bytes
    unreadable: int


def traces_from_json(text: bytes) -> Transcoded:
    """Return an ExportTraceServiceRequest in JSON as protobuf; raises RequestRefused (400)."""
    return _Shell(text, "resourceSpans", "scopeSpans", "spans", span_from_json).request()


def logs_from_json(text: bytes) -> Transcoded:
    """Return an ExportLogsServiceRequest in JSON as protobuf; raises RequestRefused (400)."""
    return _Shell(text, "resourceLogs", "scopeLogs", "logRecords", log_record_from_json).request()


class _Shell:
    """One pass over the JSON text, from its outside to the records."""

    def __init__(
        self,
        text: bytes,
        resources: str,
        scopes: str,
        records: str,
        record: Callable[[Any], Message],
    ) -> None:
        self._text = text
        self._position = 0
        self._names = {resources: 1, scopes: 2, records: 2}
        self._resources, self._scopes, self._records = resources, scopes, records
        self._record = record
        self._unreadable = 0

    def request(self) -> Transcoded:
        text = self._text
        if text.count(b"{") + text.count(b"[") > MAX_OPENED or text.count(b'"') > MAX_QUOTES:
            raise too_large("the JSON has more objects, arrays or strings than any batch")
        out = BytesIO()
        for key in self._keys():
            if key == self._resources:
                for _ in self._items():
                    _put(out, 1, self._resource_group())
            else:
                self._skip()
        self._position = self._space(self._position)
        if self._position != len(self._text):
            raise _broken()
        return Transcoded(out.getvalue(), self._unreadable)

    def _resource_group(self) -> bytes:
        out = BytesIO()
        for key in self._keys():
            if key == "resource":
                _put(out, 1, self._message(_resource_from_json))
            elif key == self._scopes:
                for _ in self._items():
                    _put(out, 2, self._scope_group())
            else:
                self._skip()
        return out.getvalue()

    def _scope_group(self) -> bytes:
        out = BytesIO()
        for key in self._keys():
            if key == "scope":
                _put(out, 1, self._message(_scope_from_json))
            elif key == self._records:
                for _ in self._items():
                    start = self._position
                    self._skip()
                    self._one(out, start)
            else:
                self._skip()
        return out.getvalue()

    def _one(self, out: BytesIO, start: int) -> None:
        try:
            if self._position - start > MAX_RECORD_TEXT:
                raise ValueError("too large")
            message = self._record(json.loads(self._text[start : self._position]))
            _put(out, 2, message.SerializeToString())
        except _UNREADABLE:
            self._unreadable += 1

    def _message(self, convert: Callable[[Any], Message]) -> bytes:
        start = self._position
        self._skip()
        try:
            if self._position - start > MAX_RECORD_TEXT:
                raise ValueError("too large")
            return convert(json.loads(self._text[start : self._position])).SerializeToString()
        except _UNREADABLE:
            raise _broken() from None

    def _keys(self) -> Iterator[str]:
        """Yield the keys of the object here; the caller consumes each value before the next."""
        self._expect(b"{")
        if self._at(b"}"):
            return
        while True:
            start = self._position = self._space(self._position)
            if self._text[start : start + 1] != b'"':
                raise _broken()
            self._skip_string()
            try:
                key = json.loads(self._text[start : self._position])
            except ValueError:
                raise _broken() from None
            self._expect(b":")
            self._position = self._space(self._position)
            yield key
            if self._at(b"}"):
                return
            self._expect(b",")

    def _items(self) -> Iterator[None]:
        """Stop at each element of the array here; null is an empty array, as in protobuf."""
        if self._text.startswith(b"null", self._position):
            self._position += 4
            return
        self._expect(b"[")
        if self._at(b"]"):
            return
        while True:
            self._position = self._space(self._position)
            yield None
            if self._at(b"]"):
                return
            self._expect(b",")

    def _skip(self) -> None:
        """Move behind the value here, whatever it is."""
        start = self._text[self._position : self._position + 1]
        if start == b'"':
            self._skip_string()
        elif start and start in _OPEN:
            self._skip_nested()
        else:
            match = _LITERAL.match(self._text, self._position)
            if match is None:
                raise _broken()
            self._position = match.end()

    def _skip_nested(self) -> None:
        text, position, depth = self._text, self._position, 0
        search = _STRUCTURE.search
        while True:
            match = search(text, position)
            if match is None:
                raise _broken()
            position = match.end()
            byte = text[position - 1]
            if byte == 0x22:
                self._position = position - 1
                self._skip_string()
                position = self._position
            elif byte in _OPEN:
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    self._position = position
                    return

    def _skip_string(self) -> None:
        text, position = self._text, self._position + 1
        while True:
            end = text.find(b'"', position)
            if end < 0:
                raise _broken()
            slashes = end
            while text[slashes - 1] == 0x5C:
                slashes -= 1
            position = end + 1
            if (end - slashes) % 2 == 0:
                self._position = position
                return

    def _space(self, position: int) -> int:
        match = _SPACE.match(self._text, position)
        return match.end() if match else position

    def _at(self, token: bytes) -> bool:
        self._position = self._space(self._position)
        if self._text[self._position : self._position + 1] == token:
            self._position += 1
            return True
        return False

    def _expect(self, token: bytes) -> None:
        if not self._at(token):
            raise _broken()


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


def _resource_from_json(value: Any) -> Resource:
    return Resource(attributes=_attributes(_object(value or {}).get("attributes")))


def _scope_from_json(value: Any) -> InstrumentationScope:
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


def _put(out: BytesIO, number: int, message: bytes) -> None:
    out.write(bytes([number << 3 | 2]))
    length = len(message)
    while length >= 0x80:
        out.write(bytes([length & 0x7F | 0x80]))
        length >>= 7
    out.write(bytes([length]))
    out.write(message)


def _broken() -> RequestRefused:
    return malformed("the body is not an OTLP JSON message, or it is cut off")
