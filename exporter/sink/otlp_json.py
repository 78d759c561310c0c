"""OTLP/JSON into the protobuf encoding, so that both take one way from there.

The JSON mapping is protobuf's, with trace and span ids in hex
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). As in the binary form the shell
is walked, and each span or log record is parsed alone: one that cannot be read costs only itself,
and objects exist for one record at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from google.protobuf.message import EncodeError, Message

from celerytrail.exporter.sink.json_messages import (
    log_record_from_json,
    resource_from_json,
    scope_from_json,
    span_from_json,
)
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
                _put(out, 1, self._message(resource_from_json))
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
                _put(out, 1, self._message(scope_from_json))
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
