from __future__ import annotations

import dataclasses
import marshal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.spool.errors import SpoolFormatError
from celerytrail.exporter.spool.segment import (
    MAGIC,
    MAX_PAYLOAD_BYTES,
    Frame,
    SegmentHeader,
    Torn,
    decode_record,
    encode_frame,
    encode_record,
    parse_segment_name,
    read_frame,
    read_header,
    scan,
    segment_name,
)

HEADER = SegmentHeader(
    stream_id="0123456789abcdef" * 2,
    segment=3,
    first_seq=41,
    secret=b"\x07" * 32,
    boot_id="",
    host="h",
    pid=1,
    process_kind="child",
    worker="celery@h",
    namespace="",
    service="shop",
    environment="test",
    resource_attributes="a=b",
    agent_version="0.1",
    celery_version="5.7.0",
    python_version="3.11",
    opened_unix_nano=1,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=200)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)
records = st.lists(values, min_size=1, max_size=8).map(tuple)


@given(st.lists(records, max_size=6))
def test_what_was_framed_comes_back_in_order(written: list[tuple[object, ...]]) -> None:
    data = MAGIC + b"".join(map(encode_record, written))
    items = list(scan(data))
    assert all(isinstance(item, Frame) for item in items)
    assert [decode_record(item.payload) for item in items if isinstance(item, Frame)] == written


@given(st.lists(records, min_size=1, max_size=5), st.data())
def test_a_cut_anywhere_loses_only_the_last_frame(
    written: list[tuple[object, ...]], data: st.DataObject
) -> None:
    frames = [encode_record(record) for record in written]
    lost = data.draw(st.integers(1, len(frames[-1])))
    torn = MAGIC + b"".join(frames)[: -lost or None]
    items = list(scan(torn))
    whole = [item for item in items if isinstance(item, Frame)]
    assert [decode_record(frame.payload) for frame in whole] == written[:-1]
    rest = [item for item in items if isinstance(item, Torn)]
    assert sum(item.end - item.start for item in rest) == len(frames[-1]) - lost
    assert all(item.at_tail for item in rest)


@given(records, st.binary(min_size=1, max_size=64), records)
def test_reading_goes_on_after_torn_bytes(
    before: tuple[object, ...], rubbish: bytes, after: tuple[object, ...]
) -> None:
    # 0xff is no start of a frame: the length would be out of bounds.
    data = MAGIC + encode_record(before) + b"\xff\xff\xff\xff" + rubbish + encode_record(after)
    items = list(scan(data))
    assert [(item.start, item.end) for item in items][-1][1] == len(data)
    whole = [decode_record(item.payload) for item in items if isinstance(item, Frame)]
    assert whole[0] == before
    assert whole[-1] == after


@given(st.binary(max_size=300))
def test_any_bytes_are_covered_once_and_never_raise(data: bytes) -> None:
    position = 0
    for item in scan(data, 0):
        assert item.start == position
        position = item.end
    assert position == len(data)


@given(records, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_seen(record: tuple[object, ...], where: int, change: int) -> None:
    frame = bytearray(encode_record(record))
    frame[where % len(frame)] ^= change
    assert read_frame(bytes(frame), 0) is None


def test_header_round_trip() -> None:
    data = HEADER.to_frame() + encode_record((1, 2, 3))
    header, start = read_header(data)
    assert header == HEADER
    assert [
        decode_record(item.payload) for item in scan(data, start) if isinstance(item, Frame)
    ] == [(1, 2, 3)]


def test_header_repr_does_not_show_the_secret() -> None:
    assert repr(HEADER.secret) not in repr(HEADER)
    assert HEADER.secret.hex() not in repr(HEADER)


def test_header_ignores_what_a_newer_writer_added() -> None:
    assert SegmentHeader.from_dict({**HEADER.to_dict(), "later": 1}) == HEADER


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(SegmentHeader)])
def test_header_names_what_is_missing(name: str) -> None:
    given_values = HEADER.to_dict()
    del given_values[name]
    with pytest.raises(SpoolFormatError, match=name):
        SegmentHeader.from_dict(given_values)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "magic"),
        (b"not a segment", "magic"),
        (MAGIC[:-1] + b"\x02" + b"rest", "version 2"),
        (HEADER.to_frame()[:-1], "breaks off"),
        (MAGIC + encode_record((1,)), "dict"),
    ],
)
def test_what_is_no_segment_says_why(data: bytes, says: str) -> None:
    with pytest.raises(SpoolFormatError, match=says):
        read_header(data)


@pytest.mark.parametrize("payload", [b"", bytes(MAX_PAYLOAD_BYTES + 1)])
def test_a_frame_has_bounds(payload: bytes) -> None:
    with pytest.raises(SpoolFormatError):
        encode_frame(payload)


@pytest.mark.parametrize("value", [{"a": 1}, [1], 1, compile("1", "x", "eval")])
def test_a_record_is_a_tuple(value: object) -> None:
    with pytest.raises(SpoolFormatError):
        decode_record(marshal.dumps(value, 2))


def test_segment_names_round_trip() -> None:
    name = segment_name("ab" * 16, 7)
    assert name == "ab" * 16 + "-000007.seg"
    assert parse_segment_name(name) == ("ab" * 16, 7)
    assert parse_segment_name(name + ".new") is None
    assert parse_segment_name("../" + name) is None
