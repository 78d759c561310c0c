"""OTLP attributes as bytes: what the official messages would encode, at a tenth of the cost.

A protobuf message is a sequence of fields, and repeated fields may follow anything, so the bytes of
attributes are appended to those of the other fields of a ``Span`` or ``LogRecord``. Field numbers: opentelemetry/proto/common/v1/common.proto, trace/v1/trace.proto and
logs/v1/logs.proto. The tests decode all of it with the official classes and compare.
"""

from __future__ import annotations

from binascii import hexlify
from functools import lru_cache

SPAN = 9 << 3 | 2
"""Tag of Span.attributes: number 9, length-delimited."""

LOG = 6 << 3 | 2
"""Tag of LogRecord.attributes."""

MAX_TEXT = 4096
"""Characters of an attribute: identifiers and names are shorter, and what is not is no identifier."""

MAX_REMEMBERED = 1024
"""Characters of what is remembered encoded: it comes from other people's messages."""

_VALUE = 0x12  # KeyValue.value, field 2
_STRING = 0x0A  # AnyValue.string_value, field 1
_INT = 0x18  # AnyValue.int_value, field 3
_TRUE = b"\x12\x02\x10\x01"  # KeyValue.value with AnyValue.bool_value, field 2
_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1
_SMALL = tuple(bytes([value]) for value in range(0x80))


def varint(value: int) -> bytes:
    """Encode an unsigned integer, or a negative one as 64 bits of two's complement."""
    if 0 <= value < 0x80:
        return _SMALL[value]
    if 0 <= value < 0x4000:
        return b"%c%c" % (value & 0x7F | 0x80, value >> 7)
    if 0 <= value < 0x200000:
        return b"%c%c%c" % (value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14)
    value &= 0xFFFFFFFFFFFFFFFF
    if 1 << 56 <= value < 1 << 63:
        # Nanoseconds since 1970 are nine bytes long from 1972 to 2262.
        return b"%c%c%c%c%c%c%c%c%c" % (
            value & 0x7F | 0x80,
            value >> 7 & 0x7F | 0x80,
            value >> 14 & 0x7F | 0x80,
            value >> 21 & 0x7F | 0x80,
            value >> 28 & 0x7F | 0x80,
            value >> 35 & 0x7F | 0x80,
            value >> 42 & 0x7F | 0x80,
            value >> 49 & 0x7F | 0x80,
            value >> 56,
        )
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def text(tag: int, key: str, value: str) -> bytes:
    """Encode a text attribute, cut at ``MAX_TEXT`` characters.

    What Postgres or protobuf refuse in text, NUL and lone surrogates, is replaced.
    """
    data = (value if len(value) <= MAX_TEXT else value[:MAX_TEXT]).encode("utf-8", "replace")
    if b"\0" in data:
        data = data.replace(b"\0", b"?")
    size = len(data)
    name = _key(key)
    total = len(name) + size + 4
    if total < 0x80:
        return b"%c%c%b%c%c%c%c%b" % (tag, total, name, _VALUE, size + 2, _STRING, size, data)
    return long_text(tag, key, data)


def constant_text(tag: int, key: str, value: str) -> bytes:
    """Encode a text attribute whose value comes back often: a queue, a task's name."""
    if len(value) > MAX_REMEMBERED:
        return text(tag, key, value)
    return _remembered_text(tag, key, value)


_remembered_text = lru_cache(maxsize=4096)(text)


def digest(tag: int, key: str, value: bytes) -> bytes:
    """Encode a hash of 32 bytes as a text attribute of 64 hex digits."""
    return digest_start(tag, key) + hexlify(value)


@lru_cache(maxsize=64)
def digest_start(tag: int, key: str) -> bytes:
    """Return what stands before the hex digits of a ``digest``."""
    return text(tag, key, "0" * 64)[:-64]


def long_text(tag: int, key: str, value: bytes) -> bytes:
    """Encode a text attribute whose value is UTF-8 already, of any length."""
    any_value = b"\x0a" + varint(len(value)) + value
    return _attribute(tag, _key(key) + b"\x12" + varint(len(any_value)) + any_value)


def integer(tag: int, key: str, value: int) -> bytes:
    """Encode an integer attribute; out of 64 bits it is brought to the nearest."""
    if not _SMALLEST <= value <= _LARGEST:
        value = _LARGEST if value > 0 else _SMALLEST
    data = varint(value)
    return _integer_starts(tag, key)[len(data)] + data


@lru_cache(maxsize=512)
def _integer_starts(tag: int, key: str) -> tuple[bytes, ...]:
    """Return what stands before the varint of an integer attribute, by the length of that."""
    name = _key(key)
    return tuple(
        b"%c%b%b%c%c%c" % (tag, varint(len(name) + 3 + size), name, _VALUE, size + 1, _INT)
        for size in range(11)
    )


@lru_cache(maxsize=512)
def true(tag: int, key: str) -> bytes:
    """Encode an attribute with the value true."""
    return _attribute(tag, _key(key) + _TRUE)


def _attribute(tag: int, key_value: bytes) -> bytes:
    return b"%c%b%b" % (tag, varint(len(key_value)), key_value)


@lru_cache(maxsize=512)
def _key(key: str) -> bytes:
    data = key.encode()
    return b"\x0a" + varint(len(data)) + data
