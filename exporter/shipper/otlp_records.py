"""The fixed fields of an OTLP span and log record as bytes, as the official classes encode them.

Attributes follow them, see ``otlp_bytes``. Fields stand in the order of their numbers, and those
that have the default value of protobuf are left out: the same bytes as
``Span(...).SerializeToString()``, which the tests compare with, at a fifth of the cost.
"""

from __future__ import annotations

from struct import Struct

from celerytrail.exporter.shipper.otlp_bytes import field, varint

_FIXED64 = Struct("<Q")
_START_AND_END = Struct("<BQBQ")  # Span.start_time_unix_nano = 7, .end_time_unix_nano = 8
_START, _END = 7 << 3 | 1, 8 << 3 | 1
_TIME, _OBSERVED = 1 << 3 | 1, 11 << 3 | 1  # LogRecord.time_unix_nano, .observed_time_unix_nano
_TRACE_AND_SPAN = b"\x0a\x10%b\x12\x08%b"  # Span.trace_id = 1, .span_id = 2
_PARENT = b"\x22\x08%b"  # Span.parent_span_id = 4
_LOG_TRACE_AND_SPAN = b"\x4a\x10%b\x52\x08%b"  # LogRecord.trace_id = 9, .span_id = 10
_FAILED = b"\x7a\x02\x18\x02"  # Span.status = 15: Status.code = 3, STATUS_CODE_ERROR
# Fixed32: SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK, and SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_LOCAL, _REMOTE = b"\x00\x01\x00\x00", b"\x00\x03\x00\x00"
_FLAGS = b"\x85\x01"  # Span.flags = 16
_LOCAL_PARENT, _REMOTE_PARENT = _FLAGS + _LOCAL, _FLAGS + _REMOTE
_TRACE_BYTES, _SPAN_BYTES = 16, 8


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
    text = name.encode("utf-8", "replace")
    return b"%b%b%b\x30%b%b%b%b%b" % (
        _TRACE_AND_SPAN % (trace_id, span_id),
        _parent(parent_span_id),
        field(5, text) if text else b"",
        varint(kind),
        _times(start, end),
        links,
        _FAILED if failed else b"",
        _REMOTE_PARENT if remote_parent else _LOCAL_PARENT,
    )


def log_record_head(
    trace_id: bytes, span_id: bytes, time: int, body: bytes, *, binary: bool
) -> bytes:
    """Return a ``LogRecord`` without attributes, observed when it happened.

    ``body`` becomes ``bytes_value`` when it is ``binary``, else it is UTF-8 and ``string_value``.
    Raises as ``span_head``.
    """
    _check(trace_id, span_id)
    value = field(7 if binary else 1, body)
    moment = _FIXED64.pack(time)
    return b"%b%b%b%b" % (
        b"%c%b" % (_TIME, moment) if time else b"",
        field(5, value),
        _LOG_TRACE_AND_SPAN % (trace_id, span_id),
        b"%c%b" % (_OBSERVED, moment) if time else b"",
    )


def _times(start: int, end: int) -> bytes:
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
    return _PARENT % span_id


def _check(trace_id: bytes, span_id: bytes) -> None:
    if len(trace_id) != _TRACE_BYTES or len(span_id) != _SPAN_BYTES:
        raise ValueError(
            f"a trace id has {_TRACE_BYTES} bytes and a span id {_SPAN_BYTES}; these have "
            f"{len(trace_id)} and {len(span_id)}"
        )
