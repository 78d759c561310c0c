"""A writer without room goes on in its own segment once that was delivered, and never before."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celerytrail.exporter.spool import writer as spool_writer
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.reader import SpoolReader
from celerytrail.exporter.spool.segment import encode_record, segment_name
from celerytrail.exporter.spool.segment_tail import is_locked, read_tail
from celerytrail.exporter.spool.shrink import shrink_segments
from celerytrail.exporter.spool.writer import Origin, SpoolWriter
from tests.unit.shipper.segments import STREAM, sent, stream, write_stream

BOUND = 64 * 1024
ORIGIN = Origin("", "box", 1, "worker", "w@box", "", "orders", "", "", "0.1.0", "5", "3")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_writer, "RETRY_NANOSECONDS", 0)


def writer_in(spool: Path) -> SpoolWriter:
    return SpoolWriter(spool, lambda: ORIGIN, max_bytes=BOUND, on_trouble=lambda _: None)


def write(writer: SpoolWriter, count: int = 1) -> None:
    code, _, now, fields = sent(0)
    for _ in range(count):
        writer.write(code, now, fields)


def crowd(spool: Path) -> list[SpoolWriter]:
    """Return writers with one segment each, which fill the spool: none can open its next one."""
    writers = [writer_in(spool) for _ in range(16)]
    for _ in range(20):
        for writer in writers:
            write(writer)
    assert all(writer.lost for writer in writers)
    assert len(list(spool.glob("*.seg"))) == len(writers)
    return writers


def deliver(reader: SpoolReader, got: dict[str, list[int]]) -> None:
    """Do what the shipper does in one round, until nothing is left to do."""
    while True:
        reader.refresh()
        chunks = reader.read(max_records=50, max_bytes=1 << 20)
        for chunk in chunks:
            got.setdefault(chunk.header.stream_id, []).extend(r.record.seq for r in chunk.records)
            reader.acknowledge(chunk)
        for ended in reader.delete_finished():
            reader.forget(ended.stream_id)
        if not chunks:
            return


def test_a_spool_full_of_open_segments_that_were_delivered_takes_records_again(
    tmp_path: Path,
) -> None:
    """More processes than the bound has room for: none of them can ever open its next segment."""
    spool = tmp_path / "spool"
    writers = crowd(spool)
    got: dict[str, list[int]] = {}
    reader = SpoolReader(spool)
    deliver(reader, got)
    lost = [writer.lost for writer in writers]
    for writer in writers:
        write(writer)
    deliver(reader, got)
    for writer, before in zip(writers, lost, strict=True):
        assert writer.lost == before, "there was room"
        numbers = got[writer.stream_id]
        assert numbers == sorted(set(numbers))
        assert max(numbers) - len(numbers) == writer.lost
        writer.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30), st.booleans()), max_size=25))
def test_what_arrives_and_what_is_reported_lost_is_all_there_is(
    steps: list[tuple[int, int, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = Path(directory) / "spool"
        ballast = [writer_in(spool) for _ in range(12)]
        for _ in range(8):
            for writer in ballast:
                write(writer)
        writers = [writer_in(spool) for _ in range(3)]
        got: dict[str, list[int]] = {}
        written = [0, 0, 0]
        reader = SpoolReader(spool)
        for which, count, delivered in steps:
            write(writers[which], count)
            written[which] += count
            if delivered:
                deliver(reader, got)
        deliver(reader, got)
        for writer, count in zip(writers, written, strict=True):
            numbers = got.get(writer.stream_id, [])
            assert numbers == sorted(set(numbers)), "once each, and in order"
            if writer.is_open:
                missing = max(numbers) - len(numbers)
                assert missing <= writer.lost, "nothing is missing that was not counted"
                assert count <= len(numbers) + writer.lost
            else:
                assert writer.lost >= count
        for writer in (*writers, *ballast):
            writer.close()


def test_a_segment_with_anything_undelivered_is_left_alone(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    writers = crowd(spool)
    first = spool / segment_name(writers[0].stream_id, 1)
    content = first.read_bytes()
    write(writers[0], 5)
    assert first.read_bytes() == content
    assert is_locked(first)
    first.with_suffix(".ack").write_text(f"{len(content) - 1} 3 0 0\n")
    write(writers[0], 5)
    # The last byte is no record: all that is one was delivered.
    assert not first.exists()
    assert is_locked(spool / segment_name(writers[0].stream_id, 2))
    for writer in writers:
        writer.close()


def test_a_record_that_is_not_delivered_keeps_the_segment(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    writers = crowd(spool)
    first = spool / segment_name(writers[0].stream_id, 1)
    last = len(encode_record(sent(9)))
    first.with_suffix(".ack").write_text(f"{first.stat().st_size - last - 1} 3 0 0\n")
    write(writers[0], 5)
    assert first.exists()
    for writer in writers:
        writer.close()


def test_a_file_that_shrinks_while_it_is_read_is_given_up_for_now(tmp_path: Path) -> None:
    (path,) = write_stream(tmp_path / "spool", stream(3))
    descriptor = os.open(path, os.O_RDONLY)
    size = path.stat().st_size
    os.truncate(path, 100)
    try:
        tail = read_tail(
            descriptor, path.name, 200, size, left=False, max_records=9, max_bytes=4096,
            log=PacedLog(logging.getLogger(__name__)),
        )  # fmt: skip
    finally:
        os.close(descriptor)
    assert (tail.records, tail.end) == ([], 200)


def test_a_shrunken_stream_still_tells_its_end(tmp_path: Path) -> None:
    (path,) = write_stream(tmp_path / "spool", stream(30, closed=False))
    size = path.stat().st_size
    reader = SpoolReader(path.parent)
    reader.refresh()
    for chunk in reader.read(max_records=100, max_bytes=1 << 20):
        reader.acknowledge(chunk)
    path.with_suffix(".wrap").write_bytes(b"x" * 100)
    freed = shrink_segments(path.parent, STREAM)
    assert freed == size - path.stat().st_size > 0
    assert not path.with_suffix(".wrap").exists()
    for again in (reader, SpoolReader(path.parent)):
        again.refresh()
        assert again.read(max_records=100, max_bytes=1 << 20) == []
        (ended,) = again.delete_finished()
        assert (ended.last_seq, ended.closed, ended.header is None) == (31, False, False)
        assert again.everything_acknowledged()


def test_the_lock_goes_with_the_segment(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    writers = crowd(spool)
    deliver(SpoolReader(spool), {})
    write(writers[0])
    path = spool / segment_name(writers[0].stream_id, 2)
    with path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    for writer in writers:
        writer.close()
