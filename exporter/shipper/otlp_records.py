"""The fixed fields of an OTLP span and log record as bytes, as the official classes encode them.

Attributes follow them, see ``otlp_bytes``. Fields stand in the order of their numbers, and those
that have the default value of protobuf are left out: the same bytes as
``Span(...).SerializeToString()``, which the tests compare with, at a fifth of the cost.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from celerytrail.exporter.shipper.otlp_bytes import MAX_REMEMBERED, field, varint

_FIXED64 = Struct("<Q")
_START_AND_END = Struct("<BQBQ")  # Span.start_time_unix_nano = 7, .end_time_unix_nano = 8
_START, _END = 7 << 3 | 1, 8 << 3 | 1
_TIME, _OBSERVED = 1 << 3 | 1, 11 << 3 | 1  # LogRecord.time_unix_nano, .observed_time_unix_nano
_BODY = 5 << 3 | 2  # LogRecord.body
_STRING, _BYTES = 1 << 3 | 2, 7 << 3 | 2  # AnyValue.string_value, .bytes_value
_LOG_TRACE_AND_SPAN = b"\x4a\x10%b\x52\x08%b"  # LogRecord.trace_id = 9, .span_id = 10
_FAILED = b"\x7a\x02\x18\x02"  # Span.status = 15: Status.code = 3, STATUS_CODE_ERROR
# Fixed32: SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK, and SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_LOCAL, _REMOTE = b"\x00\x01\x00\x00", b"\x00\x03\x00\x00"
_FLAGS = b"\x85\x01"  # Span.flags = 16
_LOCAL_PARENT, _REMOTE_PARENT = _FLAGS + _LOCAL, _FLAGS + _REMOTE
_TRACE_BYTES, _SPAN_BYTES = 16, 8


PARENT = b"\x22\x08%b"
"""Span.parent_span_id = 4, a format of its 8 bytes."""


def span_head(
    trace_id: bytes,
    span_id: bytes,
    parent_span_id: bytes,
    name: str,
    kind: int,
    start: int,
    end: int,
    *,
    links: bytes = b"",
    failed: bool = False,
    remote_parent: bool = False,
) -> bytes:
    """Return a ``Span`` without attributes; ``links`` are its links, encoded.

    Raises ValueError for an id that has not its length, struct.error for a time or kind that does
    not fit.
    """
    _check(trace_id, span_id)
    return b"\x0a\x10%b\x12\x08%b%b%b%b%b%b%b" % (
        trace_id,
        span_id,
        _parent(parent_span_id),
        _name_and_kind(name, kind) if len(name) <= MAX_REMEMBERED else _encode_name(name, kind),
        span_times(start, end),
        links,
        _FAILED if failed else b"",
        _REMOTE_PARENT if remote_parent else _LOCAL_PARENT,
    )


def log_record_parts(trace_id: bytes, span_id: bytes, time: int) -> tuple[bytes, bytes]:
    """Return a ``LogRecord`` without body and attributes, observed when it happened.

    The body, as ``log_body_head`` and its bytes, stands between the two. Raises as ``span_head``.
    """
    _check(trace_id, span_id)
    ids = _LOG_TRACE_AND_SPAN % (trace_id, span_id)
    if not time:
        return b"", ids
    moment = _FIXED64.pack(time)
    return b"%c%b" % (_TIME, moment), b"%b%c%b" % (ids, _OBSERVED, moment)


@lru_cache(maxsize=4096)
def log_body_head(size: int, *, binary: bool) -> bytes:
    """Return what stands before the bytes of ``LogRecord.body``.

    They become ``bytes_value`` when they are ``binary``, else they are UTF-8 and ``string_value``.
    """
    inner = varint(size)
    return b"%c%b%c%b" % (
        _BODY,
        varint(1 + len(inner) + size),
        _BYTES if binary else _STRING,
        inner,
    )


def _encode_name(name: str, kind: int) -> bytes:
    text = name.encode("utf-8", "replace")
    return b"%b\x30%b" % (field(5, text) if text else b"", varint(kind))  # Span.name, .kind = 6


_name_and_kind = lru_cache(maxsize=2048)(_encode_name)


def span_times(start: int, end: int) -> bytes:
    """Return start and end of a ``Span``. Raises struct.error for a time that does not fit."""
    if start and end:
        return _START_AND_END.pack(_START, start, _END, end)
    return b"".join(
        b"%c%b" % (tag, _FIXED64.pack(value))
        for tag, value in ((_START, start), (_END, end))
        if value
    )


def _parent(span_id: bytes) -> bytes:
    if not span_id:
        return b""
    if len(span_id) != _SPAN_BYTES:
        raise ValueError(f"a span id has {_SPAN_BYTES} bytes; the parent's has {len(span_id)}")
    return PARENT % span_id


def _check(trace_id: bytes, span_id: bytes) -> None:
    if len(trace_id) != _TRACE_BYTES or len(span_id) != _SPAN_BYTES:
        raise ValueError(
            f"a trace id has {_TRACE_BYTES} bytes and a span id {_SPAN_BYTES}; these have "
            f"{len(trace_id)} and {len(span_id)}"
        )
