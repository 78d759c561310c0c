"""A binary COPY is read as the manual describes it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.sql import binary_copy
from celerytrail.sql.verification import CannotVerify

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
ROW = st.lists(st.none() | st.binary(max_size=20), min_size=1, max_size=6)


def tuple_bytes(row: list[bytes | None]) -> bytes:
    fields = (b"\xff" * 4 if f is None else struct.pack("!i", len(f)) + f for f in row)
    return struct.pack("!h", len(row)) + b"".join(fields)


@given(st.lists(ROW, max_size=6), st.booleans(), st.binary(max_size=5))
def test_rows_come_back_however_they_are_packed_into_messages(rows, together, extension):
    header = HEADER[:15] + struct.pack("!i", len(extension)) + extension
    messages = [tuple_bytes(row) for row in rows]
    messages = [header + b"".join(messages) + TRAILER] if together else [header, *messages, TRAILER]
    assert list(binary_copy.rows(memoryview(message) for message in messages)) == rows


@pytest.mark.parametrize("data", [b"", b"1\t2\n", HEADER[:10]])
def test_what_is_no_binary_copy_is_refused(data: bytes):
    with pytest.raises(CannotVerify):
        list(binary_copy.rows([data]))


@given(st.none() | st.lists(st.none() | st.binary(max_size=9), max_size=5))
def test_an_array_comes_back(items):
    data = None
    if items is not None:
        head = struct.pack("!iiI", 1 if items else 0, 0, 17)
        bounds = struct.pack("!ii", len(items), 1) if items else b""
        data = head + bounds + tuple_bytes(items)[2:]
    assert binary_copy.array_items(data) == items


def test_an_array_of_two_dimensions_is_none_of_ours():
    assert binary_copy.array_items(struct.pack("!iiIiiii", 2, 0, 23, 1, 1, 1, 1)) is None
