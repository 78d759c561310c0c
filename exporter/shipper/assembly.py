"""Turns spool records into what is sent: payload log records, and the spans that commit to them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.shipper.data_keys import SealingKeys, segment_data_key
from celerytrail.exporter.shipper.identity import Identity, identify
from celerytrail.exporter.shipper.payload import (
    Draft,
    Payload,
    PayloadBuilder,
    Sealing,
    payload_of,
)
from celerytrail.exporter.shipper.requests import Envelope, Outgoing
from celerytrail.exporter.shipper.span_templates import SpanTemplates
from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.segment import SegmentHeader
from celerytrail.exporter.spool.segment_tail import SpooledRecord

_log = logging.getLogger(__name__)

_MAX_SEGMENTS = 512
_SLICE = 128
# A NamedTuple without the call of a Python function that its own constructor is.
_new = tuple.__new__
_ON_SPANS = frozenset(("args", "kwargs"))


@dataclass(slots=True)
class _Segment:
    """What the records of one segment have in common."""

    header: SegmentHeader
    envelope: Envelope
    deployment: str
    sealing: Sealing | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Log records and spans of some records; the log records go first."""

    logs: list[Outgoing]
    spans: list[Outgoing]


class Assembly:
    """Builds batches by the settings of this process."""

    def __init__(
        self,
        payloads: PayloadBuilder,
        sealing: SealingKeys | None = None,
        *,
        arguments_on_spans: bool = False,
    ) -> None:
        self.failed = 0
        """Records out of which no span could be made; their numbers show as missing."""
        self.without_payload = 0
        """Records whose span went out alone, because their payload could not be made."""
        self._log = PacedLog(_log)
        self._payloads = payloads
        self._spans = SpanTemplates()
        self._keys = sealing
        self._arguments_on_spans = arguments_on_spans
        self._segments: OrderedDict[Path, _Segment] = OrderedDict()

    def batch(self, chunks: Iterable[Chunk]) -> Batch:
        """Build what is sent for the records of some chunks, in their order."""
        batch = Batch([], [])
        for chunk in chunks:
            segment = self._segment(chunk)
            sealed: list[Outgoing] = []
            for start in range(0, len(chunk.records), _SLICE):
                records = chunk.records[start : start + _SLICE]
                self._add(batch, sealed, chunk.path, segment, records)
            batch.logs.extend(sealed)
        return batch

    def _add(
        self,
        batch: Batch,
        sealed: list[Outgoing],
        path: Path,
        segment: _Segment,
        records: Sequence[SpooledRecord],
    ) -> None:
        # Each step for all of them before the next: what it needs stays in the processor's caches. So
        # they are few enough that what a step leaves for the next one stays there as well.
        header, envelope = segment.header, segment.envelope
        identified: list[tuple[Record, Identity]] = []
        for record, _ in records:
            try:
                identified.append((record, identify(header, record)))
            except Exception as exc:  # noqa: BLE001
                self._leave_out(header, record, exc)
        drafts = [self._draft(path, segment, record, identity) for record, identity in identified]
        payloads = [
            self._payload(header, record, identity, draft)
            for (record, identity), draft in zip(identified, drafts, strict=True)
        ]
        for (record, identity), payload in zip(identified, payloads, strict=True):
            try:
                span = self._spans.build(
                    record,
                    identity,
                    payload.commitments(),
                    withheld=payload.withheld,
                    arguments=self._arguments(payload) if self._arguments_on_spans else None,
                )
            except Exception as exc:  # noqa: BLE001
                self._leave_out(header, record, exc)
                continue
            for item in payload.items:
                # Sealed bodies stay together: a request of them is not worth compressing.
                logs = sealed if segment.sealing and item.kind == "body" else batch.logs
                logs.append(_new(Outgoing, (envelope, item.log_record)))
            batch.spans.append(_new(Outgoing, (envelope, span)))

    def _leave_out(self, header: SegmentHeader, record: Record, exc: Exception) -> None:
        # One strange record must not hold up all that come after it for ever.
        self.failed += 1
        self._log.say(
            logging.ERROR,
            "record %d of stream %s is left out: %s while its span was made",
            record.seq,
            header.stream_id,
            type(exc).__name__,
        )

    def _draft(self, path: Path, segment: _Segment, record: Record, identity: Identity) -> Draft:
        try:
            sealing = segment.sealing
            if sealing is None and self._keys is not None and record.fields.get("body") is not None:
                sealing = segment.sealing = self._sealing(path, segment, self._keys)
            return self._payloads.draft(
                segment.header, segment.deployment, record, identity, sealing
            )
        except Exception as exc:  # noqa: BLE001
            # That it happened is worth more than what it was about: the span goes out without.
            self._go_without(segment.header, record, exc)
            return Draft([], None, "unexamined" if "body" in record.fields else None)

    def _payload(
        self, header: SegmentHeader, record: Record, identity: Identity, draft: Draft
    ) -> Payload:
        try:
            return payload_of(header, record, identity, draft)
        except Exception as exc:  # noqa: BLE001
            self._go_without(header, record, exc)
            return Payload((), "unexamined" if "body" in record.fields else None)

    def _go_without(self, header: SegmentHeader, record: Record, exc: Exception) -> None:
        self.without_payload += 1
        self._log.say(
            logging.ERROR,
            "record %d of stream %s goes without its payload: %s while that was made",
            record.seq,
            header.stream_id,
            type(exc).__name__,
        )

    def _arguments(self, payload: Payload) -> dict[str, bytes]:
        return {
            item.kind: item.shown
            for item in payload.items
            if item.kind in _ON_SPANS and item.shown is not None
        }

    def _segment(self, chunk: Chunk) -> _Segment:
        segment = self._segments.get(chunk.path)
        if segment is None:
            header = chunk.header
            label = Deployment(header.namespace, header.service, header.environment).label
            segment = _Segment(header, Envelope.of(header), label)
            self._segments[chunk.path] = segment
            if len(self._segments) > _MAX_SEGMENTS:
                self._segments.popitem(last=False)
        return segment

    def _sealing(self, path: Path, segment: _Segment, keys: SealingKeys) -> Sealing:
        data_key = segment_data_key(path, segment.header, segment.deployment, keys)
        return Sealing(data_key, keys.psk, keys.ledger_id)
