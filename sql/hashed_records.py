"""Leaves of rows of spans that are sent as one composite value, which is several times as fast.

The binary form of such a value is what ``record_send`` writes, so it is hashed as it comes and only
the three fields that say where a leaf belongs are read. A value that was not committed cannot give
a committed hash, whoever put it together. Where one does not, ``hashed_rows`` decides.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256

from celerytrail.sql import chain_hash
from celerytrail.sql.hashed_rows import OIDS, SPANS, Leaf

_FRAME = struct.Struct("!hi")
_HEAD = struct.Struct("!12s16s8s8x8si")
_TAIL = struct.Struct("!8sq")
_SHORTEST = _HEAD.size + _TAIL.size


class OddRecord(Exception):
    """A row is not of the shape that a row of spans has, so it has to be read field by field."""


def _field(type_: str, length: int) -> bytes:
    return struct.pack("!Ii", OIDS[type_], length)


_BEGIN = struct.pack("!i", len(SPANS.columns)) + _field("uuid", 16)
_TIME = _field("timestamptz", 8)
_DAY = _field("date", 4)
_BATCH = _field("int8", 8)


def record_leaves(messages: Iterable[bytes]) -> Iterator[Leaf]:
    """Yield the leaf of each row of a binary copy of one column, ``ROW(columns of spans)``.

    Raises OddRecord where a row does not begin with event_id, event_time and day and end with
    batch_id, all of them filled.
    """
    frame, head, tail, domain = _FRAME, _HEAD, _TAIL, chain_hash.LEAF_DOMAIN
    shape = (_BEGIN, _TIME, _DAY, _BATCH)
    for message in messages:
        offset, whole = 0, len(message)
        while offset + frame.size <= whole:
            count, length = frame.unpack_from(message, offset)
            if count < 0:
                break
            begin = offset + frame.size
            offset = begin + length
            if count != 1 or length < _SHORTEST or offset > whole:
                raise OddRecord
            first, key, second, third, day = head.unpack_from(message, begin)
            last, batch_id = tail.unpack_from(message, offset - tail.size)
            if (first, second, third, last) != shape:
                raise OddRecord
            yield Leaf(batch_id, day, key, sha256(domain + message[begin:offset]).digest())
