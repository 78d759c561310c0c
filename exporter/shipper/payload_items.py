"""The items of a payload as OTLP log records: salt, commitment, and the bytes that are sent."""

from __future__ import annotations

from binascii import hexlify
from functools import lru_cache
from typing import NamedTuple

from celerytrail.exporter.attributes import PAYLOAD_EVENT_NAME
from celerytrail.exporter.commitment import commit
from celerytrail.exporter.hmac_sha256 import hmac_sha256
from celerytrail.exporter.shipper.identity import Identity
from celerytrail.exporter.shipper.otlp_bytes import (
    LOG,
    constant_text,
    digest_start,
    field,
    integer,
    text,
    true,
)
from celerytrail.exporter.shipper.otlp_records import log_body_head, log_record_parts
from celerytrail.exporter.shipper.redaction import Redacted
from celerytrail.exporter.spool.record import Record
from celerytrail.exporter.spool.segment import SegmentHeader

SALT_DOMAIN = b"celerytrail/salt/v1\0"

# LogRecord.event_name; the official classes know it since opentelemetry-proto 1.5 only.
_EVENT_NAME = field(12, PAYLOAD_EVENT_NAME.encode())
_SALT = digest_start(LOG, "celerytrail.payload.salt")
_TRUNCATED = true(LOG, "celerytrail.payload.truncated")


class PayloadItem(NamedTuple):
    """One item: its kind, its commitment, and the encoded ``LogRecord`` that carries it.

    ``shown`` is the redacted JSON, None for a message body.
    """

    kind: str
    commitment: bytes
    shown: bytes | None
    log_record: bytes


class ItemMaker:
    """Makes the items of one record: what they have in common is encoded once.

    Raises as ``log_record_parts``.
    """

    __slots__ = ("_after", "_before", "_common", "_head", "_hmac")

    def __init__(
        self, header: SegmentHeader, record: Record, identity: Identity, task_id: str
    ) -> None:
        self._hmac = hmac_sha256(header.secret)
        self._head = _salt_head(header.stream_id) + record.seq.to_bytes(8, "big", signed=True)
        self._before, self._after = log_record_parts(
            identity.trace_id, identity.span_id, identity.event_time
        )
        self._common = b"%b%b%b" % (
            text(LOG, "messaging.message.id", task_id),
            integer(LOG, "celery.retries", identity.retries),
            integer(LOG, "celerytrail.seq", record.seq),
        )

    def item(self, kind: str, body: bytes, redacted: Redacted | None) -> PayloadItem:
        """Return the item of a kind; ``body`` is a container where it is not ``redacted`` JSON."""
        salt = self._hmac.digest(self._head + kind.encode())
        commitment = commit(kind, salt, body)
        parts = [
            self._before,
            log_body_head(len(body), binary=redacted is None),
            body,
            self._after,
            _kind_start(kind),
            hexlify(commitment),
            _SALT,
            hexlify(salt),
            self._common,
        ]
        shown: bytes | None = None
        if redacted is not None:
            shown = body
            if redacted.truncated:
                parts.append(_TRUNCATED)
        return tuple.__new__(PayloadItem, (kind, commitment, shown, b"".join(parts)))


@lru_cache(maxsize=64)
def _salt_head(stream_id: str) -> bytes:
    return SALT_DOMAIN + bytes.fromhex(stream_id)


@lru_cache(maxsize=64)
def _kind_start(kind: str) -> bytes:
    """Return what stands between the fixed fields of an item and its commitment."""
    return (
        _EVENT_NAME
        + constant_text(LOG, "celerytrail.payload.kind", kind)
        + digest_start(LOG, "celerytrail.payload.commitment")
    )
