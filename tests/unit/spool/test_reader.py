"""The reader hands out every record once, in order, and forgets nothing that is not acknowledged."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from celerytrail.exporter.spool.atomic_file import replace_file
from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.errors import SpoolDirectoryError
from celerytrail.exporter.spool.reader import SpoolReader
from celerytrail.exporter.spool.segment import encode_frame, encode_record
from celerytrail.exporter.spool.segment_tail import is_locked
from tests.unit.shipper.segments import (
    HEADER,
    STREAM,
    segment_bytes,
    sent,
    stream,
    values,
    write_segment,
    write_stream,
)

OTHER = "fedcba9876543210fedcba9876543210"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold a segment as its writer does."""
    descriptor = os.open(path, os.O_WRONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def read_all(reader: SpoolReader, *, records: int = 10_000, size: int = 1 << 20) -> list[Chunk]:
    chunks: list[Chunk] = []
    while True:
        reader.refresh()
        found = reader.read(max_records=records, max_bytes=size)
        if not found:
            return chunks
        for chunk in found:
            reader.acknowledge(chunk)
        chunks += found


def numbers(chunks: list[Chunk], stream_id: str = STREAM) -> list[int]:
    return [
        item.record.seq
        for chunk in chunks
        if chunk.header.stream_id == stream_id
        for item in chunk.records
    ]


@pytest.mark.parametrize("per_segment", [1, 3, 100])
@pytest.mark.parametrize(("records", "size"), [(1, 1 << 20), (7, 1 << 20), (10_000, 1)])
def test_every_record_comes_once_and_in_order(
    tmp_path: Path, per_segment: int, records: int, size: int
) -> None:
    write_stream(tmp_path, stream(20), per_segment=per_segment)
    write_stream(tmp_path, stream(5), stream_id=OTHER)
    chunks = read_all(SpoolReader(tmp_path), records=records, size=size)
    assert numbers(chunks) == list(range(1, 23))
    assert numbers(chunks, OTHER) == list(range(1, 8))


def test_a_busy_stream_does_not_hold_up_the_others(tmp_path: Path) -> None:
    write_stream(tmp_path, stream(100))
    write_stream(tmp_path, stream(1), stream_id=OTHER)
    reader = SpoolReader(tmp_path)
    reader.refresh()
    first = reader.read(max_records=5, max_bytes=1 << 20)
    second = reader.read(max_records=5, max_bytes=1 << 20)
    assert {c.header.stream_id for c in first + second} == {STREAM, OTHER}


def test_what_is_not_acknowledged_is_read_again(tmp_path: Path) -> None:
    write_stream(tmp_path, stream(8))
    reader = SpoolReader(tmp_path)
    reader.refresh()
    (first,) = reader.read(max_records=4, max_bytes=1 << 20)
    reader.acknowledge(first)
    (lost,) = reader.read(max_records=4, max_bytes=1 << 20)
    assert numbers([lost]) == [5, 6, 7, 8]
    for again in (SpoolReader(tmp_path), reader):
        if again is reader:
            again.rewind()
        again.refresh()
        assert numbers(again.read(max_records=10_000, max_bytes=1 << 20)) == [5, 6, 7, 8, 9, 10]


def test_a_living_writer_is_followed(tmp_path: Path) -> None:
    path = write_segment(tmp_path, stream(2, closed=False))
    reader = SpoolReader(tmp_path)
    with writing(path):
        assert numbers(read_all(reader)) == [1, 2, 3]
        assert reader.has_living_writer()
        assert not reader.has_living_writer(besides=frozenset({STREAM}))
        assert reader.delete_finished() == []
        frame = encode_record(sent(4))
        for position in range(0, len(frame), 50):
            append(path, frame[position : position + 50])
            found = read_all(reader)
            assert numbers(found) == ([4] if position + 50 >= len(frame) else [])
    assert read_all(reader) == []
    (ended,) = reader.delete_finished()
    assert (ended.stream_id, ended.last_seq, ended.torn_bytes, ended.closed) == (
        STREAM,
        4,
        0,
        False,
    )


def test_a_torn_tail_is_waited_for_and_counted_when_the_writer_is_gone(tmp_path: Path) -> None:
    path = write_segment(tmp_path, stream(2, closed=False))
    torn = encode_record(sent(4))[:-7]
    append(path, torn)
    reader = SpoolReader(tmp_path)
    with writing(path):
        assert numbers(read_all(reader)) == [1, 2, 3]
    assert numbers(read_all(reader)) == []
    (ended,) = reader.delete_finished()
    assert (ended.last_seq, ended.torn_bytes, ended.closed) == (3, len(torn), False)
    assert path.exists()
    reader.forget(STREAM)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_in_a_record_that_is_being_written_is_no_record(tmp_path: Path) -> None:
    """Whoever can send a task could otherwise forge records in its body."""
    path = write_segment(tmp_path, stream(1, closed=False))
    forged = encode_record(sent(999, "forged"))
    whole = encode_record(sent(3, data=b"x" * 100 + forged + b"x" * 5000))
    append(path, whole[:4000])
    reader = SpoolReader(tmp_path)
    with writing(path):
        assert numbers(read_all(reader)) == [1, 2]
        append(path, whole[4000:])
        assert numbers(read_all(reader)) == [3]


def test_a_torn_frame_in_the_middle_is_skipped_and_counted(tmp_path: Path) -> None:
    torn = encode_record(sent(3))[:30]
    path = write_segment(tmp_path, stream(1, closed=False))
    append(path, torn + encode_record(sent(4)) + encode_record(values("stream_closed", 5, lost=1)))
    reader = SpoolReader(tmp_path)
    chunks = read_all(reader)
    assert numbers(chunks) == [1, 2, 4, 5]
    (ended,) = reader.delete_finished()
    assert (ended.torn_bytes, ended.closed, ended.last_seq) == (len(torn), True, 5)


def test_torn_bytes_of_a_deleted_segment_are_remembered_across_readers(tmp_path: Path) -> None:
    records = stream(6, closed=False)
    first, second = write_stream(tmp_path, records, per_segment=4)
    append(first, b"torn")
    reader = SpoolReader(tmp_path)
    reader.refresh()
    for chunk in reader.read(max_records=4, max_bytes=1 << 20):
        reader.acknowledge(chunk)
    for chunk in reader.read(max_records=1, max_bytes=1 << 20):
        reader.acknowledge(chunk)
    reader.delete_finished()
    assert not first.exists()
    assert second.exists()
    after = SpoolReader(tmp_path)
    assert numbers(read_all(after))[-1] == 7
    (ended,) = after.delete_finished()
    assert (ended.torn_bytes, ended.last_seq) == (4, 7)


def test_a_stream_whose_successor_appears_late_is_not_taken_for_ended(tmp_path: Path) -> None:
    """The writer names the next segment before it leaves the last: a look in between must see it."""
    records = stream(4)
    head = replace(HEADER, segment=2, first_seq=4)
    path = write_segment(tmp_path, records[:3])
    reader = SpoolReader(tmp_path)
    with writing(path):
        assert numbers(read_all(reader)) == [1, 2, 3]
        reader.refresh()
        successor = write_segment(tmp_path, [], head)
    with writing(successor):
        # The reader has not refreshed since; it learns of the successor by itself.
        reader.read(max_records=10, max_bytes=1 << 20)
        assert reader.delete_finished() == []
        assert not path.exists()
        append(successor, b"".join(map(encode_record, records[3:])))
    assert numbers(read_all(reader)) == [4, 5, 6]
    (ended,) = reader.delete_finished()
    assert ended.closed


def test_a_lock_inherited_by_a_stray_child_holds_nothing_up(tmp_path: Path) -> None:
    clock = [0.0]
    first, _ = write_stream(tmp_path, stream(4), per_segment=4)
    reader = SpoolReader(tmp_path, clock=lambda: clock[0])
    with writing(first):
        assert numbers(read_all(reader)) == [1, 2, 3, 4]
        clock[0] = 60.0
        assert numbers(read_all(reader)) == [5, 6]
        (ended,) = reader.delete_finished()
        assert ended.closed
        assert not first.exists()


def test_a_record_of_an_unknown_step_is_skipped_and_counted(tmp_path: Path) -> None:
    path = write_segment(tmp_path, stream(1, closed=False))
    append(path, encode_record((250, 3, 1)) + encode_frame(b"(\x01\0\0\0") + encode_record(sent(5)))
    reader = SpoolReader(tmp_path)
    assert numbers(read_all(reader)) == [1, 2, 5]
    assert reader.unreadable_records == 2


@pytest.mark.parametrize("content", [b"", b"CTSPOO", b"CTSPOOL\x09" + b"x" * 50, b"garbage" * 10])
def test_a_segment_without_a_header_is_counted_and_given_up(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"{STREAM}-000001.seg"
    path.write_bytes(content)
    reader = SpoolReader(tmp_path)
    assert read_all(reader) == []
    (ended,) = reader.delete_finished()
    assert (ended.header, ended.torn_bytes) == (None, len(content))


def test_a_torn_header_is_read_from_another_segment_of_the_stream(tmp_path: Path) -> None:
    first, _ = write_stream(tmp_path, stream(4), per_segment=4)
    data = bytearray(first.read_bytes())
    data[30] ^= 0xFF
    first.write_bytes(data)
    reader = SpoolReader(tmp_path)
    assert numbers(read_all(reader)) == [1, 2, 3, 4, 5, 6]


def test_a_lost_or_broken_cursor_means_everything_again(tmp_path: Path) -> None:
    (path,) = write_stream(tmp_path, stream(3))
    read_all(SpoolReader(tmp_path))
    cursor = path.with_suffix(".ack")
    assert cursor.read_text().startswith(f"{path.stat().st_size} 5 0 1")
    assert cursor.stat().st_mode & 0o777 == 0o600
    for broken in ("", "x y z w", "-5 0 0 0", "12"):
        cursor.write_text(broken)
        assert numbers(read_all(SpoolReader(tmp_path))) == [1, 2, 3, 4, 5]


def test_a_cursor_that_cannot_be_written_is_said_once_and_no_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = write_stream(tmp_path, stream(3))
    path.with_suffix(".ack").mkdir()  # in the way, for root as well
    reader = SpoolReader(tmp_path)
    assert numbers(read_all(reader, records=1)) == [1, 2, 3, 4, 5]
    said = [r.getMessage() for r in caplog.records if "cannot be written" in r.getMessage()]
    assert len(said) == 1
    assert "sent again" in said[0]


def test_segments_that_somebody_removes_are_forgotten(tmp_path: Path) -> None:
    first, second = write_stream(tmp_path, stream(4), per_segment=4)
    reader = SpoolReader(tmp_path)
    reader.refresh()
    first.unlink()
    assert numbers(read_all(reader)) == [5, 6]
    second.unlink()
    reader.refresh()
    assert reader.is_empty()


def test_without_descriptors_a_writer_that_lives_is_not_taken_for_dead(tmp_path: Path) -> None:
    (path,) = write_stream(tmp_path, stream(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        locked = is_locked(path)
        missing = is_locked(tmp_path / "missing")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert locked
    assert missing  # there is no telling either
    assert not is_locked(path)
    assert not is_locked(tmp_path / "missing")


def test_records_that_cannot_be_read_are_said_once_a_second(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    strange = [(99, seq, 1) for seq in range(1, 51)]
    write_segment(tmp_path, strange)
    reader = SpoolReader(tmp_path, clock=lambda: 0.0)
    read_all(reader)
    assert reader.unreadable_records == 50
    assert len([r for r in caplog.records if "is skipped" in r.getMessage()]) == 1


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("shipper.lock", "x.seg", f"{STREAM}-000001.seg.new"):
        (tmp_path / name).write_bytes(b"x")
    reader = SpoolReader(tmp_path)
    assert read_all(reader) == []
    assert reader.is_empty()
    assert len(list(tmp_path.iterdir())) == 3


def test_a_segment_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.write_bytes(segment_bytes(stream(1)))
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"{STREAM}-000001.seg").symlink_to(secret)
    reader = SpoolReader(spool)
    assert read_all(reader) == []


def test_a_directory_that_is_none_is_named(tmp_path: Path) -> None:
    SpoolReader(tmp_path / "missing").refresh()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SpoolDirectoryError, match=str(file)):
        SpoolReader(file).refresh()


def test_a_large_record_is_read_whole(tmp_path: Path) -> None:
    write_segment(tmp_path, [*stream(1, closed=False), sent(3, data=b"y" * 3_000_000), sent(4)])
    assert numbers(read_all(SpoolReader(tmp_path), size=1000)) == [1, 2, 3, 4]


def test_replacing_a_file_leaves_no_litter(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"1")
    replace_file(tmp_path / "a", b"2", durable=True)
    assert (tmp_path / "a").read_bytes() == b"2"
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "b", b"3")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_the_real_writer_is_read_while_it_rotates_and_is_killed(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    program = """
import os, sys, time
from pathlib import Path
from celerytrail.exporter.spool.writer import Origin, SpoolWriter
origin = Origin("", "box", os.getpid(), "publisher", "p@box", "n", "s", "e", "", "0", "5", "3")
writer = SpoolWriter(Path(sys.argv[1]), lambda: origin, max_bytes=1 << 30,
                     on_trouble=print, segment_bytes=8192)
while True:
    writer.write(42, time.time_ns(), (0,))
    os.write(1, b".")
    if os.read(0, 1) != b"+":
        break
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(spool)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    reader = SpoolReader(spool)
    found: list[int] = []
    try:
        for _ in range(400):
            process.stdin.write(b"+")
            assert process.stdout.read(1) == b"."
            found += [item.record.seq for chunk in read_all(reader) for item in chunk.records]
            assert all(not ended.closed for ended in reader.delete_finished())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    found += [item.record.seq for chunk in read_all(reader) for item in chunk.records]
    assert found == list(range(1, len(found) + 1))
    assert len(found) > 100
    (ended,) = reader.delete_finished()
    assert (ended.last_seq, ended.closed) == (len(found), False)
    assert len(list(spool.glob("*.seg"))) == 1
