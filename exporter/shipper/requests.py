"""OTLP export requests out of encoded spans or log records.

A request for spans and one for log records have the same shape and field numbers
(``opentelemetry/proto/collector``): request.resource = 1; resource.resource = 1, .scope = 2;
scope.scope = 1, .records = 2. So one function writes both, around records that are encoded already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from celerytrail.exporter.attributes import SCOPE_NAME
from celerytrail.exporter.shipper.otlp_bytes import field, varint
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
    parts: list[bytes] = []
    for envelope, group in groupby(records, key=_envelope_of):
        # Only lengths are needed before the one copy at the end: requests are large.
        scoped = [b"", envelope.scope]
        for _, data in group:
            scoped.append(_head(_SECOND, len(data)))
            scoped.append(data)
        scoped[0] = _head(_SECOND, sum(map(len, scoped)))
        size = len(envelope.resource) + sum(map(len, scoped))
        parts += (_head(_FIRST, size), envelope.resource)
        parts += scoped
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _head(number: int, size: int) -> bytes:
    """Return what stands before the bytes of a length-delimited field."""
    return varint(number << 3 | 2) + varint(size)


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
