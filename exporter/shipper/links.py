"""The links of a send: to the run before it, and from a chord's body to all of its headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.shipper.identity import span_id_of
from celerytrail.exporter.spool.member_ids import member_span_id

MAX_LINKS = 128
"""As many links as OpenTelemetry's own limit leaves a span; how many are left out is counted on it."""

_CONTEXT_IS_REMOTE = 0x300
_TO_CHORD = KeyValue(key="celery.link", value=AnyValue(string_value="chord"))
_TO_HEADER = KeyValue(key="celery.link", value=AnyValue(string_value="chord header"))
_TO_RUN = KeyValue(key="celery.link", value=AnyValue(string_value="run before"))


@dataclass(frozen=True, slots=True)
class ChordHeaders:
    """The chord whose body is sent: its span id, in hex, and the headers that were counted, or 0."""

    span_id: str
    count: int


def chord_headers(fields: Mapping[str, Any]) -> ChordHeaders | None:
    """Return the chord whose body a record sends, None for every other record."""
    given = fields.get("chord_headers")
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        return None
    span_id, count = given
    if span_id_of(span_id) is None or type(count) is not int or count < 0:
        return None
    return ChordHeaders(span_id, count)


def links_of(trace_id: bytes, fields: Mapping[str, Any]) -> bytes:
    """Return the links of a record, all within one trace, as the fields of an encoded ``Span``.

    A body is linked to each header, or to the span of the chord where nobody counted them: never
    to a span that may not exist.
    """
    before = span_id_of(fields.get("linked_run_id"))
    chord = chord_headers(fields)
    if before is None and chord is None:
        return b""
    span = Span()
    if before is not None:
        # Attempts are siblings: what joins a retry to the run before is a link.
        _add(span, trace_id, before, _TO_RUN)
    if chord is not None and not chord.count:
        _add(span, trace_id, bytes.fromhex(chord.span_id), _TO_CHORD)
    elif chord is not None:
        room = MAX_LINKS - len(span.links)
        for number in range(min(chord.count, room)):
            header = bytes.fromhex(member_span_id(chord.span_id, number))
            _add(span, trace_id, header, _TO_HEADER)
        span.dropped_links_count = max(0, chord.count - room)
    return span.SerializeToString()


def _add(span: Span, trace_id: bytes, span_id: bytes, why: KeyValue) -> None:
    span.links.add(trace_id=trace_id, span_id=span_id, flags=_CONTEXT_IS_REMOTE, attributes=[why])
