"""The outer shell of an OTLP request, walked without parsing what is inside.

The official parser takes a message whole or not at all: one bad string would refuse a batch of
thousands, and 32 MiB of empty messages would become gigabytes of objects. So the envelope
(request, resource, scope) is walked here on the wire format, and each span or log record is parsed
alone. Traces and logs have the same envelope, field numbers included.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from celerytrail.exporter.sink.errors import SinkError
from celerytrail.exporter.sink.refusal import RequestRefused, malformed, too_large

MAX_GROUPS = 100_000
"""Scopes with records in one request; a batch has as many as it has processes, thousands at most."""

MAX_PARTS = 500_000
"""Resources, scopes and records in one request; 32 MiB of real ones are a tenth of that."""

MAX_TRIMMED_FIELDS = 200_000
"""Fields of a record over its bounds that are looked at; with more it is not worth the time."""

_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}


class WireError(SinkError):
    """The bytes are not a protobuf message, or they are cut off."""


@dataclass(frozen=True, slots=True)
class Group:
    """The records of one scope of one resource, as offsets into the body."""

    resource: bytes
    scope: bytes
    start: int
    stop: int


def fields(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of one message: number, start of the field, start of the value, stop.

    The start of the value is that of the payload of a length-delimited field, and -1 for every
    other wire type. Raises WireError when the bytes are not a protobuf message.
    """
    while position < stop:
        begin = position
        tag = data[position]
        position += 1
        if tag >= 0x80:
            tag, position = _varint(data, position, stop, tag)
        wire_type = tag & 7
        if tag < 8:
            raise WireError("not a protobuf message")
        if wire_type == _LENGTH_DELIMITED:
            if position >= stop:
                raise WireError("not a protobuf message")
            length = data[position]
            position += 1
            if length >= 0x80:
                length, position = _varint(data, position, stop, length)
            value = position
            position += length
        elif wire_type == 0:
            value = -1
            while position < stop and data[position] >= 0x80:
                position += 1
            position += 1
        elif wire_type in _FIXED:
            value = -1
            position += _FIXED[wire_type]
        else:
            raise WireError("not a protobuf message")
        if position > stop:
            raise WireError("not a protobuf message")
        yield tag >> 3, begin, value, position


def groups(body: bytes) -> list[Group]:
    """Return the scopes of a request that have records, having walked the whole envelope.

    Raises RequestRefused: 400 when the envelope is broken, 413 for ``MAX_GROUPS`` or ``MAX_PARTS``.
    """
    try:
        return _groups(body)
    except WireError as error:
        raise malformed("the body is not an OTLP protobuf message, or it is cut off") from error


def _groups(body: bytes) -> list[Group]:
    found: list[Group] = []
    parts = 0
    for number, _, start, stop in fields(body, 0, len(body)):
        parts += 1
        if parts > MAX_PARTS:
            raise _too_many()
        if number != 1 or start < 0:
            continue
        resource = _joined(body, start, stop)
        for inner, _, scope_start, scope_stop in fields(body, start, stop):
            parts += 1
            if parts > MAX_PARTS:
                raise _too_many()
            if inner != 2 or scope_start < 0:
                continue
            scope: list[bytes] = []
            records = False
            for field, _, value, end in fields(body, scope_start, scope_stop):
                parts += 1
                if parts > MAX_PARTS:
                    raise _too_many()
                if value >= 0:
                    if field == 2:
                        records = True
                    elif field == 1:
                        scope.append(body[value:end])
            if records:
                if len(found) >= MAX_GROUPS:
                    raise too_large(f"more than {MAX_GROUPS} scopes in one request")
                found.append(Group(resource, b"".join(scope), scope_start, scope_stop))
    return found


def records(body: bytes, group: Group) -> Iterator[bytes]:
    """Yield the bytes of each span or log record of one group."""
    for number, _, start, stop in fields(body, group.start, group.stop):
        if number == 2 and start >= 0:
            yield body[start:stop]


def trimmed(
    message: bytes,
    attributes_field: int,
    dropped_fields: frozenset[int],
    keep: Callable[[bytes], bool],
) -> bytes:
    """Return a message without the attributes that ``keep`` refuses, and without whole fields.

    ``keep`` is asked with the bytes of each KeyValue, in the sender's order. Used only for messages
    over a bound, before the parser makes objects of them.
    """
    parts: list[bytes] = []
    for count, (number, begin, value, stop) in enumerate(fields(message, 0, len(message))):
        if count >= MAX_TRIMMED_FIELDS:
            raise WireError(f"more than {MAX_TRIMMED_FIELDS} fields")
        if number in dropped_fields:
            continue
        if number == attributes_field and value >= 0 and not keep(message[value:stop]):
            continue
        parts.append(message[begin:stop])
    return b"".join(parts)


def key_of(key_value: bytes) -> bytes:
    """Return the key of an encoded KeyValue, empty when it has none."""
    key = b""
    for number, _, start, stop in fields(key_value, 0, len(key_value)):
        if number == 1 and start >= 0:
            key = key_value[start:stop]
    return key


def _too_many() -> RequestRefused:
    return too_large(f"more than {MAX_PARTS} resources, scopes and records in one request")


def _joined(body: bytes, start: int, stop: int) -> bytes:
    # Concatenated encodings of a message are the encoding of the merged message.
    found = [
        body[value:end]
        for number, _, value, end in fields(body, start, stop)
        if number == 1 and value >= 0
    ]
    return found[0] if len(found) == 1 else b"".join(found)


def _varint(data: bytes, position: int, stop: int, first: int) -> tuple[int, int]:
    value = first & 0x7F
    shift = 7
    while True:
        if position >= stop or shift > 63:
            raise WireError("not a protobuf message")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
