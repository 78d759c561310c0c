from __future__ import annotations

import os
from pathlib import Path

from celerytrail.exporter.spool.backlog import Backlog, read_backlog
from celerytrail.exporter.spool.reader import SpoolReader
from celerytrail.exporter.spool.segment import encode_record
from tests.unit.shipper.segments import HEADER, NOW, STREAM, values

HEAD = HEADER.to_frame()
FIRST = encode_record(values("stream_opened", 1, NOW))
SECOND = encode_record(values("stream_closed", 2, NOW + 5))


def write(directory: Path, data: bytes, number: int = 1) -> Path:
    path = directory / f"{STREAM}-{number:06}.seg"
    path.write_bytes(data)
    return path


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_backlog(tmp_path / "missing") == Backlog(0, 0, 0, None)
    (tmp_path / "shipper.log").write_text("x")
    assert read_backlog(tmp_path) == Backlog(0, 0, 0, None)


def test_what_is_not_acknowledged_waits(tmp_path: Path) -> None:
    size = len(HEAD + FIRST + SECOND)
    write(tmp_path, HEAD + FIRST + SECOND)
    assert read_backlog(tmp_path) == Backlog(1, size, len(FIRST + SECOND), NOW)


def test_what_is_acknowledged_does_not(tmp_path: Path) -> None:
    write(tmp_path, HEAD + FIRST + SECOND)
    reader = SpoolReader(tmp_path)
    reader.refresh()
    (chunk,) = reader.read(max_records=1, max_bytes=1 << 20)
    reader.acknowledge(chunk)
    found = read_backlog(tmp_path)
    assert (found.waiting_bytes, found.oldest_unix_nano) == (len(SECOND), NOW + 5)
    (chunk,) = reader.read(max_records=1, max_bytes=1 << 20)
    reader.acknowledge(chunk)
    assert read_backlog(tmp_path).oldest_unix_nano is None
    assert read_backlog(tmp_path).waiting_bytes == 0


def test_the_oldest_of_all_segments_counts(tmp_path: Path) -> None:
    write(tmp_path, HEAD + SECOND)
    write(tmp_path, HEAD + FIRST, number=2)
    found = read_backlog(tmp_path)
    assert (found.segments, found.oldest_unix_nano) == (2, NOW)


def test_where_no_record_can_be_read_the_file_has_a_time(tmp_path: Path) -> None:
    torn = write(tmp_path, HEAD + FIRST[:-1])
    os.utime(torn, ns=(7, 7))
    assert read_backlog(tmp_path) == Backlog(1, len(HEAD + FIRST) - 1, len(FIRST) - 1, 7)
    garbage = write(tmp_path, b"no segment", number=2)
    os.utime(garbage, ns=(3, 3))
    assert read_backlog(tmp_path).oldest_unix_nano == 3
    write(tmp_path, b"", number=2)
    assert read_backlog(tmp_path).oldest_unix_nano == 7
