"""OTLP export requests out of encoded spans or log records.

A request for spans and one for log records have the same shape and field numbers
(``opentelemetry/proto/collector``): request.resource = 1; resource.resource = 1, .scope = 2;
scope.scope = 1, .records = 2. So one function writes both, around records that are encoded already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from celerytrail.exporter.attributes import SCOPE_NAME
from celerytrail.exporter.shipper.otlp_bytes import field
from celerytrail.exporter.shipper.resource import resource_message, resource_of
from celerytrail.exporter.spool.segment import SegmentHeader

MAX_RECORDS = 2048
MAX_BYTES = 1024 * 1024

_FIRST, _SECOND = 1, 2


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all records of one process are sent in: its resource, and our scope, encoded."""

    resource: bytes
    scope: bytes

    @classmethod
    def of(cls, header: SegmentHeader) -> Envelope:
        """Return the envelope for the records of a segment."""
        scope = InstrumentationScope(name=SCOPE_NAME, version=header.agent_version)
        return cls(
            field(_FIRST, resource_message(resource_of(header)).SerializeToString()),
            field(_FIRST, scope.SerializeToString()),
        )


class Outgoing(NamedTuple):
    """One encoded span or log record, and the envelope it belongs in."""

    envelope: Envelope
    data: bytes


_envelope_of = attrgetter("envelope")


def encode_request(records: Sequence[Outgoing]) -> bytes:
    """Return the bytes of an ``ExportTraceServiceRequest`` or ``ExportLogsServiceRequest``."""
    parts = []
    for envelope, group in groupby(records, key=_envelope_of):
        records_of_one = b"".join([_record(record.data) for record in group])
        scoped = field(_SECOND, envelope.scope + records_of_one)
        parts.append(field(_FIRST, envelope.resource + scoped))
    return b"".join(parts)


def _record(data: bytes) -> bytes:
    size = len(data)
    if 0x80 <= size < 0x4000:
        return b"%c%c%c%b" % (_SECOND << 3 | 2, size & 0x7F | 0x80, size >> 7, data)
    return field(_SECOND, data)


def split(records: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """Cut records into requests of at most 2,048 records and about 1 MiB."""
    start = size = 0
    for index, record in enumerate(records):
        length = len(record.data)
        if index > start and (index - start >= MAX_RECORDS or size + length > MAX_BYTES):
            yield records[start:index]
            start, size = index, 0
        size += length
    if start < len(records):
        yield records[start:]
