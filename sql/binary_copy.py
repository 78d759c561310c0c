"""Read ``COPY ... TO STDOUT (FORMAT BINARY)`` as the bytes the server sent, without decoding any.

The outside verifier hashes these bytes, and takes apart only the few columns it compares. Format:
the manual's page on COPY, "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from celerytrail.sql.verification import CannotVerify

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_LENGTH = struct.Struct("!i")
_COUNT = struct.Struct("!h")
_ARRAY_HEAD = struct.Struct("!iiI")


def messages(chunks: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Yield the data messages of a copy without its header: each holds whole rows.

    Raises CannotVerify where the stream is not a binary copy.
    """
    begun = False
    for chunk in chunks:
        message = bytes(chunk)
        if not begun:
            if not message.startswith(_SIGNATURE) or len(message) < 19:
                raise CannotVerify("the server's answer to COPY is not in the binary format")
            message = message[19 + _LENGTH.unpack_from(message, 15)[0] :]
            begun = True
        if message:
            yield message


def rows(chunks: Iterable[bytes | bytearray | memoryview]) -> Iterator[list[bytes | None]]:
    """Yield each row of a binary copy as the bytes of its fields, None for NULL."""
    length_at = _LENGTH.unpack_from
    for message in messages(chunks):
        offset, end = 0, len(message)
        while offset < end:
            (count,) = _COUNT.unpack_from(message, offset)
            offset += 2
            if count < 0:
                break
            fields: list[bytes | None] = []
            for _ in range(count):
                (length,) = length_at(message, offset)
                offset += 4
                if length < 0:
                    fields.append(None)
                else:
                    fields.append(message[offset : offset + length])
                    offset += length
            yield fields


def array_items(data: bytes | None) -> list[bytes | None] | None:
    """Return the items of a one-dimensional array as Postgres sends it, None for NULL.

    An array of another shape gives None too: nothing in the ledger has one.
    """
    if data is None or len(data) < 12:
        return None
    dimensions, _, _ = _ARRAY_HEAD.unpack_from(data)
    if dimensions == 0:
        return []
    if dimensions != 1:
        return None
    (count,) = _LENGTH.unpack_from(data, 12)
    offset = 20
    items: list[bytes | None] = []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += 4
        if length < 0:
            items.append(None)
        else:
            items.append(data[offset : offset + length])
            offset += length
    return items
