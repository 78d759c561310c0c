"""An OTLP trace request as rows of ``spans``: pure, one span at a time.

What a row holds is laid down in ``exporter/attributes.py`` and ``docs/design/identity.md``. Left
out on purpose: a span's events and status message, and attributes named after payload kinds. They
may hold user data, which travels as payloads, where it can be erased.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import (
    COMMITMENT_PREFIX,
    MAX_CLOCK_AHEAD_SECONDS,
    PAYLOAD_KINDS,
    STEP_BY_NAME,
    On,
)
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.anyvalue import Cut, Plain, compact_json, has_nul, plain
from celerytrail.exporter.sink.bounds import (
    MARK_ATTRIBUTES_CUT,
    MAX_ATTRIBUTES,
    MAX_READ_ATTRIBUTES,
    MAX_RECORD_BYTES,
    KeepKnown,
)
from celerytrail.exporter.sink.chunks import Decoded, chunks
from celerytrail.exporter.sink.event_id import DayWindow, event_time
from celerytrail.exporter.sink.readers import INDEX, cut_text, read_hex, slots
from celerytrail.exporter.sink.refusal import Unstorable
from celerytrail.exporter.sink.resource import Speaker
from celerytrail.exporter.sink.wire import Group, WireError, key_of, trimmed

MARK_CLOCK = "clock"

STEPS_AT_START = frozenset({"sent", "send_failed", "group"})
"""The event time of these steps is the start of their span; of all others its end."""

USER_DATA = frozenset({"exception.message", "exception.stacktrace"}) | {
    f"celery.{kind.name}" for kind in PAYLOAD_KINDS if kind.name != "stamps"
}
"""Span attributes that hold user data, for other backends: they never become part of a row.

``celery.stamps`` has only the names of stamps; their values are a payload.
"""

_SLOTS = {name: slot for name, slot in slots(On.SPAN).items() if name not in USER_DATA}
_KIND = re.compile(r"[a-z_]{1,32}")
_PREFIX_LENGTH = len(COMMITMENT_PREFIX)
_MAX_INT8 = 2**63 - 1
_MAX_LINKS = 128
_MAX_TRIMMED = 16
_MAX_BARED_BYTES = 4 * MAX_RECORD_BYTES
_EVENTS_AND_LINKS = frozenset({11, 13})
_EVENTS_AND_STATUS = frozenset({11, 15})
_USER_DATA_KEYS = frozenset(name.encode() for name in USER_DATA)
_ATTRIBUTES = INDEX["attributes"]
_COMMITMENTS = INDEX["commitments"]
_DAY = INDEX["day"]
_END_UNIX_NANO = INDEX["end_unix_nano"]
_EVENT_ID = INDEX["event_id"]
_EVENT_TIME = INDEX["event_time"]
_INFERRED = INDEX["inferred"]
_LINKS = INDEX["links"]
_MARKS = INDEX["marks"]
_PARENT_SPAN_ID = INDEX["parent_span_id"]
_SEQ = INDEX["seq"]
_SPAN_ID = INDEX["span_id"]
_SPAN_KIND = INDEX["span_kind"]
_SPAN_NAME = INDEX["span_name"]
_START_UNIX_NANO = INDEX["start_unix_nano"]
_STATUS_CODE = INDEX["status_code"]
_STEP = INDEX["step"]
_TRACE_ID = INDEX["trace_id"]


def decode_spans(
    body: bytes, groups: Sequence[Group], deployment: Deployment, now_unix_nano: int
) -> Iterator[Decoded]:
    """Return an iterator over the rows of a request, a bounded number at a time.

    ``groups`` is what ``wire.groups(body)`` returned. ``deployment`` is that of the token: spans of
    another one are rejected. Rows are tuples in the order of SPAN_COLUMNS. ``now_unix_nano`` decides
    which days have a partition and which clocks are ahead.
    """
    decoder = _SpanDecoder(now_unix_nano)
    return chunks(body, groups, deployment, decoder.row, decoder.bare)


class _SpanDecoder:
    __slots__ = ("_latest", "_to_bare", "_to_trim", "_window")

    def __init__(self, now_unix_nano: int) -> None:
        self._window = DayWindow(now_unix_nano)
        self._to_trim = _MAX_TRIMMED
        self._to_bare = _MAX_BARED_BYTES
        self._latest = now_unix_nano + MAX_CLOCK_AHEAD_SECONDS * 1_000_000_000

    def row(self, raw: bytes, speaker: Speaker) -> tuple[Any, ...] | None:
        """Return the row of one span, or None when it is not an event of ours."""
        if speaker.problem is not None:
            raise Unstorable(speaker.problem)
        marks: set[str] = set(speaker.marks)
        span = self._parse(raw, marks)
        attributes: Sequence[KeyValue] = span.attributes
        if len(attributes) > MAX_READ_ATTRIBUTES:
            marks.add(MARK_ATTRIBUTES_CUT)
            attributes = attributes[:MAX_READ_ATTRIBUTES]
        row = list(speaker.template)
        extras: dict[str, Plain] = dict(speaker.extras)
        most = MAX_ATTRIBUTES + len(extras)
        commitments: dict[str, str] = {}
        cut: Cut | None = None
        for item in attributes:
            name = item.key
            slot = _SLOTS.get(name)
            if slot is not None:
                index, read = slot
                value = read(item.value, name, marks)
                if index < 0:
                    extras[name] = value
                elif value is None:
                    extras[name] = item.value.string_value
                else:
                    row[index] = value
            elif name.startswith(COMMITMENT_PREFIX):
                kind = name[_PREFIX_LENGTH:]
                if not _KIND.fullmatch(kind):
                    raise Unstorable("a commitment names no kind of payload")
                commitments[kind] = read_hex(item.value, name, 32).hex()
            elif name not in USER_DATA:
                if cut is None:
                    cut = Cut()
                if len(extras) < most:
                    extras[name] = plain(item.value, cut)
                else:
                    cut.happened = True
        seq = row[_SEQ]
        step = row[_STEP]
        if seq is None or step is None:
            if len(span.attributes) > MAX_READ_ATTRIBUTES:
                raise Unstorable(f"more than {MAX_READ_ATTRIBUTES} attributes before ours")
            return None
        if seq < 1:
            raise Unstorable("celerytrail.seq is less than 1")
        if step not in STEP_BY_NAME:
            raise Unstorable("celerytrail.step is not a step this version knows")
        if (cut is not None and cut.happened) or span.dropped_attributes_count:
            marks.add(MARK_ATTRIBUTES_CUT)
        self._fill(row, span, speaker, marks)
        if commitments:
            # Kinds and hex digits need no escapes.
            pairs = ",".join([f'"{kind}":"{digits}"' for kind, digits in commitments.items()])
            row[_COMMITMENTS] = f"{{{pairs}}}"
        if span.links:
            row[_LINKS] = _links(span, marks)
        row[_ATTRIBUTES] = _attributes(extras, marks)
        if marks:
            row[_MARKS] = ",".join(sorted(marks))
        return tuple(row)

    def bare(self, raw: bytes) -> bytes | None:
        """Return a span without what may hold user data, for the quarantine; None when it is too much.

        On the wire format, because most spans that come here are ones that the parser refuses.
        """
        if len(raw) > self._to_bare:
            return None
        self._to_bare -= len(raw)
        try:
            return trimmed(raw, 9, _EVENTS_AND_STATUS, _is_not_user_data)
        except WireError:
            return None

    def _parse(self, raw: bytes, marks: set[str]) -> Span:
        # Events are never stored, so that they are the first to go from a span over its bounds.
        try:
            if len(raw) <= MAX_RECORD_BYTES:
                try:
                    return Span.FromString(raw)
                except DecodeError as error:
                    if "MaxDepth" not in str(error):
                        raise
            if self._to_trim == 0:
                raise Unstorable(f"more than {_MAX_TRIMMED} spans over the bounds in one request")
            self._to_trim -= 1
            marks.add(MARK_ATTRIBUTES_CUT)
            return Span.FromString(trimmed(raw, 9, _EVENTS_AND_LINKS, KeepKnown(_SLOTS)))
        except (DecodeError, WireError):
            raise Unstorable("the span is broken, or has text that is not UTF-8") from None

    def _fill(self, row: list[Any], span: Span, speaker: Speaker, marks: set[str]) -> None:
        start, end = span.start_time_unix_nano, span.end_time_unix_nano
        if start > _MAX_INT8 or end > _MAX_INT8:
            raise Unstorable("a time of the span is after the year 2262")
        nanoseconds = start if row[_STEP] in STEPS_AT_START else end
        time = event_time(nanoseconds)
        day = self._window.day(time)
        if isinstance(day, str) or nanoseconds > self._latest or end < start:
            marks.add(MARK_CLOCK)
        row[_EVENT_ID] = speaker.hash.event_id(nanoseconds, row[_SEQ])
        row[_EVENT_TIME] = time
        row[_DAY] = day
        if row[_INFERRED] is None:
            row[_INFERRED] = False
        row[_TRACE_ID] = _id(span.trace_id, 16, "trace_id")
        row[_SPAN_ID] = _id(span.span_id, 8, "span_id")
        if span.parent_span_id:
            row[_PARENT_SPAN_ID] = _id(span.parent_span_id, 8, "parent_span_id")
        name = span.name
        if "\0" in name:
            raise Unstorable("the name of the span has a NUL character")
        row[_SPAN_NAME] = cut_text(name, marks)
        if not 0 <= span.kind <= 5:
            raise Unstorable("the kind of the span is unknown")
        row[_SPAN_KIND] = span.kind
        status = span.status.code
        if not 0 <= status <= 2:
            raise Unstorable("the status of the span is unknown")
        row[_STATUS_CODE] = status
        row[_START_UNIX_NANO] = start
        row[_END_UNIX_NANO] = end


def _is_not_user_data(key_value: bytes) -> bool:
    return key_of(key_value) not in _USER_DATA_KEYS


def _id(value: bytes, length: int, name: str) -> bytes:
    if len(value) != length or not any(value):
        raise Unstorable(f"{name} is not {length} bytes, or all zero")
    return value


def _links(span: Span, marks: set[str]) -> str:
    links: list[Plain] = []
    for link in span.links[:_MAX_LINKS]:
        entry: dict[str, Plain] = {
            "trace_id": _id(link.trace_id, 16, "trace_id of a link").hex(),
            "span_id": _id(link.span_id, 8, "span_id of a link").hex(),
        }
        if link.attributes:
            cut = Cut()
            entry["attributes"] = {
                item.key: plain(item.value, cut) for item in link.attributes[:MAX_ATTRIBUTES]
            }
            if cut.happened or len(link.attributes) > MAX_ATTRIBUTES:
                marks.add(MARK_ATTRIBUTES_CUT)
        links.append(entry)
    if len(span.links) > _MAX_LINKS:
        marks.add(MARK_ATTRIBUTES_CUT)
    text = compact_json({"links": links})
    if has_nul(text, links):
        raise Unstorable("a link has a NUL character")
    return text[len('{"links":') : -1]


def _attributes(extras: dict[str, Plain], marks: set[str]) -> str:
    text = compact_json(extras)
    if has_nul(text, extras):
        raise Unstorable("an attribute has a NUL character")
    # Escapes can make the JSON longer than the span was; what came last goes first.
    while len(text) > MAX_RECORD_BYTES // 4 and len(text.encode()) > MAX_RECORD_BYTES:
        marks.add(MARK_ATTRIBUTES_CUT)
        for name in list(extras)[len(extras) // 2 :]:
            del extras[name]
        text = compact_json(extras)
    return text
