"""OTLP attributes as bytes: what the official messages would encode, at a tenth of the cost.

A protobuf message is a sequence of fields, and repeated fields may follow anything, so the bytes of
attributes can be appended to those of a ``Span`` or ``LogRecord`` that the official classes
encoded. Field numbers: opentelemetry/proto/common/v1/common.proto and trace/v1/trace.proto. The
tests decode all of it with the official classes and compare.
"""

from __future__ import annotations

from functools import lru_cache

_KEY = b"\x0a"  # KeyValue.key, field 1
_VALUE = 0x12  # KeyValue.value, field 2
_STRING = 0x0A  # AnyValue.string_value, field 1
_TRUE = b"\x12\x02\x10\x01"  # AnyValue.bool_value, field 2
_INT = 0x18  # AnyValue.int_value, field 3
MAX_TEXT = 4096
"""Characters of an attribute: identifiers and names are shorter, and what is not is no identifier."""


def field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    """Encode an unsigned integer, or a negative one as 64 bits of two's complement."""
    if 0 <= value < 0x80:
        return _SMALL[value]
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = tuple(bytes([value]) for value in range(0x80))


@lru_cache(maxsize=4096)
def constant_text(key: str, value: str) -> bytes:
    """Encode a text attribute whose value comes back often: a queue, a task's name."""
    return text(key, value)


def text(key: str, value: str) -> bytes:
    """Encode one KeyValue with a string value, cut at ``MAX_TEXT`` characters.

    What Postgres or protobuf refuse in text, NUL and lone surrogates, is replaced.
    """
    data = (value if len(value) <= MAX_TEXT else value[:MAX_TEXT]).encode("utf-8", "replace")
    if b"\0" in data:
        data = data.replace(b"\0", b"?")
    size = len(data)
    if size < 0x7E:
        return b"%b%c%c%c%c%b" % (_key(key), _VALUE, size + 2, _STRING, size, data)
    value_field = b"\x0a" + varint(size) + data
    return _key(key) + b"\x12" + varint(len(value_field)) + value_field


def long_text(key: str, value: bytes) -> bytes:
    """Encode one KeyValue with a string value that is UTF-8 already, of any length."""
    value_field = b"\x0a" + varint(len(value)) + value
    return _key(key) + b"\x12" + varint(len(value_field)) + value_field


def integer(key: str, value: int) -> bytes:
    """Encode one KeyValue with an integer value; out of 64 bits it is brought to the nearest."""
    data = varint(max(-(1 << 63), min((1 << 63) - 1, value)))
    return b"%b%c%c%c%b" % (_key(key), _VALUE, len(data) + 1, _INT, data)


def true(key: str) -> bytes:
    """Encode one KeyValue with the value true."""
    return _key(key) + _TRUE


@lru_cache(maxsize=512)
def _key(key: str) -> bytes:
    data = key.encode()
    return _KEY + varint(len(data)) + data


def join(number: int, key_values: list[bytes]) -> bytes:
    """Return KeyValues as the repeated field ``number`` of a message."""
    tag = varint(number << 3 | 2)
    return b"".join(
        [
            b"%b%c%b" % (tag, len(kv), kv) if len(kv) < 0x80 else tag + varint(len(kv)) + kv
            for kv in key_values
        ]
    )
