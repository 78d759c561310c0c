"""Whatever becomes of a segment's bytes, the reader goes on and makes nothing up."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from celerytrail.exporter.spool.reader import SpoolReader
from celerytrail.exporter.spool.segment import encode_record, segment_name
from tests.unit.shipper.segments import HEADER, segment_bytes, stream

RECORDS = stream(12)
WHOLE = segment_bytes(RECORDS)
FIRST = len(HEADER.to_frame())
FRAMES = [encode_record(record) for record in RECORDS]

DAMAGE = st.one_of(
    st.tuples(st.just("flip"), st.integers(FIRST, len(WHOLE) - 1), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(FIRST, len(WHOLE)), st.just(0)),
    st.tuples(st.just("remove"), st.integers(FIRST, len(WHOLE) - 1), st.integers(1, 400)),
    st.tuples(st.just("insert"), st.integers(FIRST, len(WHOLE)), st.integers(1, 400)),
    st.tuples(st.just("zero"), st.integers(FIRST, len(WHOLE) - 1), st.integers(1, 400)),
)


def damaged(data: bytes, what: str, where: int, much: int) -> bytes:
    if what == "flip":
        return data[:where] + bytes(b ^ much for b in data[where : where + 1]) + data[where + 1 :]
    if what == "cut":
        return data[:where]
    if what == "remove":
        return data[:where] + data[where + much :]
    if what == "insert":
        return data[:where] + bytes(i * 37 % 256 for i in range(much)) + data[where:]
    return data[:where] + bytes(len(data[where : where + much])) + data[where + much :]


def read(data: bytes, size: int) -> tuple[list[int], int]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / segment_name(HEADER.stream_id, 1)).write_bytes(data)
        reader = SpoolReader(directory)
        found: list[int] = []
        for _ in range(1000):
            reader.refresh()
            chunks = reader.read(max_records=5, max_bytes=size)
            if not chunks:
                break
            for chunk in chunks:
                found += [item.record.seq for item in chunk.records]
                reader.acknowledge(chunk)
        else:
            raise AssertionError("the reader does not come to an end")
        (ended,) = reader.delete_finished()
        return found, ended.torn_bytes


@given(st.lists(DAMAGE, min_size=1, max_size=4), st.sampled_from([1, 500, 1 << 20]))
@settings(max_examples=250, deadline=None)
def test_all_whole_frames_are_found_and_all_other_bytes_counted(
    damage: list[tuple[str, int, int]], size: int
) -> None:
    data = WHOLE
    for what, where, much in damage:
        data = damaged(data, what, max(where, FIRST), much)
    found, torn = read(data, size)
    # A frame whose bytes are still there is read; nothing else is, and the bytes add up.
    whole = [r[1] for r, frame in zip(RECORDS, FRAMES, strict=True) if frame in data[FIRST:]]
    assert set(whole) <= set(found) <= set(range(1, 15))
    assert found == sorted(found) or len(damage) > 1
    assert torn == len(data) - FIRST - sum(len(FRAMES[seq - 1]) for seq in found)


@given(st.binary(max_size=300), st.sampled_from([1, 1 << 20]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_after_the_header(noise: bytes, size: int) -> None:
    found, torn = read(WHOLE[:FIRST] + noise + FRAMES[0], size)
    assert found in ([1], [])
    assert torn == len(noise) + (0 if found else len(FRAMES[0]))


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_instead_of_a_segment(noise: bytes) -> None:
    assert read(noise, 1 << 20) == ([], len(noise))
