"""A row that comes as one composite value has the leaf that its fields have, or is said to be odd."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.sql import chain_hash
from celerytrail.sql.hashed_records import OddRecord, record_leaves
from celerytrail.sql.hashed_rows import SPANS, Leaf

Row = list[bytes | None]
NAMES = [name for name, _ in SPANS.columns]
END = struct.pack("!h", -1)


def made(seed: int, key: bytes, day: int, batch_id: int) -> Row:
    """A row whose other fields are of any length, or NULL: drawn one by one they would take long."""
    chance = random.Random(seed)
    row: Row = [
        None if chance.random() < 0.3 else chance.randbytes(chance.randint(0, 9)) for _ in NAMES
    ]
    row[NAMES.index("event_id")] = key
    row[NAMES.index("event_time")] = chance.randbytes(8)
    row[NAMES.index("day")] = struct.pack("!i", day)
    row[NAMES.index("batch_id")] = struct.pack("!q", batch_id)
    return row


ROWS = st.builds(
    made,
    st.integers(0, 2**32),
    st.binary(min_size=16, max_size=16),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1),
)


def sent(row: Row) -> bytes:
    record = chain_hash.record_bytes(SPANS.oids, row)
    return struct.pack("!hi", 1, len(record)) + record


def fields(row: Row) -> bytes:
    parts = [struct.pack("!h", len(row))]
    for field in row:
        parts.append(struct.pack("!i", -1 if field is None else len(field)) + (field or b""))
    return b"".join(parts)


@given(st.lists(ROWS, max_size=3), st.booleans())
def test_both_ways_to_read_a_row_give_one_leaf(given_rows: list[Row], one_message: bool):
    messages = [sent(row) for row in given_rows] + [END]
    if one_message:
        messages = [b"".join(messages)]
    expected = list(SPANS.leaves([fields(row) for row in given_rows]))
    assert list(record_leaves(messages)) == expected
    assert all(isinstance(leaf, Leaf) for leaf in expected)


@pytest.mark.parametrize("name", ["event_id", "event_time", "day", "batch_id"])
@pytest.mark.parametrize("value", [None, b"", b"x" * 3])
def test_a_row_without_its_place_is_odd(name: str, value: bytes | None):
    row: Row = [b""] * len(NAMES)
    for field, length in (("event_id", 16), ("event_time", 8), ("day", 4), ("batch_id", 8)):
        row[NAMES.index(field)] = bytes(length)
    assert len(list(record_leaves([sent(row)]))) == 1
    row[NAMES.index(name)] = value
    with pytest.raises(OddRecord):
        list(record_leaves([sent(row)]))


@pytest.mark.parametrize(
    "message",
    [
        struct.pack("!hi", 1, -1),
        struct.pack("!hi", 1, 4) + bytes(4),
        struct.pack("!hi", 2, 0) * 2,
        struct.pack("!hi", 1, 500) + bytes(100),
        struct.pack("!hi", 1, 100) + bytes(100),
    ],
    ids=["null", "short", "two fields", "cut off", "zeros"],
)
def test_what_is_no_row_of_spans_is_odd(message: bytes):
    with pytest.raises(OddRecord):
        list(record_leaves([message]))
