"""One attribute value as what its column holds; refuses what the column can never hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from celerytrail.exporter.attributes import ATTRIBUTES, SPAN_COLUMNS, Attribute, On
from celerytrail.exporter.sink.refusal import Unstorable

MAX_ID_BYTES = 512
"""Task, group and stream ids are keys of indexes: a longer one is refused, never cut."""

MAX_TEXT_BYTES = 1024
"""Names for people (task, queue, worker, host) are cut here, and the row is marked."""

MAX_COUNT = 2**53
"""Sequence numbers and counts; far below where ``int8`` ranges overflow, exact in JSON."""

MAX_INT4 = 2**31 - 1

MARK_TEXT_CUT = "text_cut"
MARK_ETA = "eta_unreadable"

Reader = Callable[[AnyValue, str, set[str]], Any]

_IDS = frozenset(
    {
        "service.namespace",
        "service.name",
        "deployment.environment.name",
        "celerytrail.step",
        "messaging.message.id",
        "messaging.message.conversation_id",
        "celery.parent_id",
        "celery.group",
        "celery.root_group",
        "celery.chord.body_id",
    }
)
_COUNTS = frozenset(
    {
        "celerytrail.seq",
        "celerytrail.lost",
        "celerytrail.about_stream.last_seq",
        "celerytrail.about_stream.torn_bytes",
        "celery.send.time_unix_nano",
        "celery.retries",
        "celery.group_index",
        "celery.group.size",
        "celery.queue_wait_us",
        "celery.runtime_us",
        "process.pid",
    }
)
_NOT_NEGATIVE_INT8 = 2**63 - 1
_HEX_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?"
)


def _string(value: AnyValue, name: str) -> str:
    text = value.string_value
    if not text and value.WhichOneof("value") != "string_value":
        raise Unstorable(f"{name} is not a string")
    if "\0" in text:
        raise Unstorable(f"{name} has a NUL character")
    return text


# The two readers of text run a dozen times a span, so that they do not share their few lines.


def read_id(value: AnyValue, name: str, marks: set[str]) -> str:
    """Return a key: text that is refused when it is too long."""
    text = value.string_value
    if not text or "\0" in text:
        text = _string(value, name)
    if len(text) > MAX_ID_BYTES // 4 and len(text.encode()) > MAX_ID_BYTES:
        raise Unstorable(f"{name} is longer than {MAX_ID_BYTES} bytes")
    return text


def read_text(value: AnyValue, name: str, marks: set[str]) -> str:
    """Return text for people: cut, with a mark, when it is too long."""
    text = value.string_value
    if not text or "\0" in text:
        text = _string(value, name)
    if len(text) > MAX_TEXT_BYTES // 4:
        return cut_text(text, marks)
    return text


def cut_text(text: str, marks: set[str]) -> str:
    """Return text of at most ``MAX_TEXT_BYTES`` of UTF-8, whole characters only."""
    if len(text) > MAX_TEXT_BYTES // 4:
        encoded = text.encode()
        if len(encoded) > MAX_TEXT_BYTES:
            marks.add(MARK_TEXT_CUT)
            return encoded[:MAX_TEXT_BYTES].decode(errors="ignore")
    return text


def _integer(value: AnyValue, name: str, low: int, high: int) -> int:
    number = value.int_value
    if not number and value.WhichOneof("value") != "int_value":
        raise Unstorable(f"{name} is not an integer")
    if not low <= number <= high:
        raise Unstorable(f"{name} is outside {low} to {high}")
    return number


def read_int4(value: AnyValue, name: str, marks: set[str]) -> int:
    """Return a 32-bit integer."""
    return _integer(value, name, -MAX_INT4 - 1, MAX_INT4)


def read_count4(value: AnyValue, name: str, marks: set[str]) -> int:
    """Return a 32-bit integer that is not negative."""
    return _integer(value, name, 0, MAX_INT4)


def read_int8(value: AnyValue, name: str, marks: set[str]) -> int:
    """Return a 64-bit integer."""
    return _integer(value, name, -_NOT_NEGATIVE_INT8 - 1, _NOT_NEGATIVE_INT8)


def read_count8(value: AnyValue, name: str, marks: set[str]) -> int:
    """Return a count or sequence number, up to ``MAX_COUNT``."""
    return _integer(value, name, 0, MAX_COUNT)


def read_nanoseconds(value: AnyValue, name: str, marks: set[str]) -> int:
    """Return nanoseconds since 1970, which fit into int8 until the year 2262."""
    return _integer(value, name, 0, _NOT_NEGATIVE_INT8)


def read_bool(value: AnyValue, name: str, marks: set[str]) -> bool:
    """Return a boolean."""
    flag = value.bool_value
    if not flag and value.WhichOneof("value") != "bool_value":
        raise Unstorable(f"{name} is not a boolean")
    return flag


def read_span_id(value: AnyValue, name: str, marks: set[str]) -> bytes:
    """Return the 8 bytes of a hex span id."""
    return read_hex(value, name, 8)


def read_hex(value: AnyValue, name: str, length: int) -> bytes:
    """Return ``length`` bytes written as hex digits."""
    text = value.string_value
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    # fromhex passes over spaces, hence both lengths.
    if len(found) != length or len(text) != 2 * length:
        raise Unstorable(f"{name} is not {2 * length} hex digits")
    return found


def read_uuid(value: AnyValue, name: str, marks: set[str]) -> uuid.UUID:
    """Return a UUID written as 32 hex digits, with or without its four hyphens."""
    text = value.string_value
    if not _HEX_UUID.fullmatch(text):
        raise Unstorable(f"{name} is not a UUID")
    return uuid.UUID(text)


def read_time(value: AnyValue, name: str, marks: set[str]) -> datetime | None:
    """Return an RFC 3339 time in UTC; None, with a mark, for what cannot be read as one.

    A time without an offset is UTC, which is what Celery means by it. An unreadable ETA is no
    reason to lose an event: it stays among the attributes as it came.
    """
    match = _RFC_3339.fullmatch(_string(value, name))
    if match is not None:
        day, clock, fraction, offset = match.groups()
        micros = (fraction or "0")[:6].ljust(6, "0")
        zone = "+00:00" if offset is None or offset in "Zz" else offset
        if len(zone) == 5:
            zone = f"{zone[:3]}:{zone[3:]}"
        try:
            return datetime.fromisoformat(f"{day}T{clock}.{micros}{zone}").astimezone(timezone.utc)
        except (ValueError, OverflowError):
            pass
    marks.add(MARK_ETA)
    return None


def _reader(attribute: Attribute) -> Reader:
    name = attribute.name
    if attribute.type == "text":
        return read_id if name in _IDS else read_text
    if attribute.type == "int4":
        return read_count4 if name in _COUNTS else read_int4
    if attribute.type == "int8":
        if name == "celery.send.time_unix_nano":
            return read_nanoseconds
        return read_count8 if name in _COUNTS else read_int8
    readers: dict[str, Reader] = {
        "bool": read_bool,
        "bytea": read_span_id,
        "uuid": read_uuid,
        "timestamptz": read_time,
    }
    return readers[attribute.type]


INDEX = {column.name: index for index, column in enumerate(SPAN_COLUMNS)}
"""Position of each column in a row."""


def slots(on: On) -> dict[str, tuple[int, Reader]]:
    """Return attribute name -> (position of its column or -1, reader) for one place of a message."""
    return {
        attribute.name: (
            -1 if attribute.column is None else INDEX[attribute.column],
            _reader(attribute),
        )
        for attribute in ATTRIBUTES
        if attribute.on is on
    }
