"""One record as a person may see it: what the shipper would send of it, redacted, as a dict for JSON."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.shipper.identity import identify
from celerytrail.exporter.shipper.own_streams import deployment_of
from celerytrail.exporter.shipper.payload import PayloadBuilder
from celerytrail.exporter.shipper.redaction import Redactor
from celerytrail.exporter.shipper.span_builder import build_span
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.segment import SegmentHeader


class RecordShower:
    """Shows records by the redaction rules of a shipper. Message bodies are never shown."""

    def __init__(self, redactor: Redactor) -> None:
        self._payloads = PayloadBuilder(redactor)

    def show(self, header: SegmentHeader, record: Record) -> dict[str, Any]:
        """Return step, number, time, process, attributes of the span, and redacted payload items.

        It goes the shipper's way and knows no other, so what cannot be redacted is not shown: such
        a record has an ``error`` with the class of what happened. It does not raise.
        """
        shown: dict[str, Any] = {
            "seq": record.seq,
            "step": record.step.name,
            "time": _moment(record.time_unix_nano),
            "process": header.process_kind,
            "worker": header.worker,
            "pid": header.pid,
        }
        try:
            identity = identify(header, record)
            label = deployment_of(header).label
            payload = self._payloads.build(header, label, record, identity, None)
            span = Span.FromString(build_span(record, identity, {}))
            attributes = {
                item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value")
                for item in span.attributes
                if item.key not in ("celerytrail.seq", "celerytrail.step")
            }
            items = {
                item.kind: json.loads(item.shown)
                for item in payload.items
                if item.shown is not None
            }
        except Exception as exc:  # noqa: BLE001 (the shipper would leave it out as well)
            return {**shown, "error": type(exc).__name__}
        shown |= {"span": span.name, "trace_id": span.trace_id.hex(), "attributes": attributes}
        return {**shown, "payload": items} if items else shown


def _moment(unix_nano: int) -> str:
    try:
        moment = datetime.fromtimestamp(unix_nano // 1_000_000_000, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return str(unix_nano)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_nano % 1_000_000_000:09d}Z"
