"""A full disk: the process goes on, what it costs is counted exactly, and room is made of what was delivered."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.shipper import Shipper
from celerytrail.exporter.spool import writer as spool_writer
from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.writer import Origin, SpoolWriter
from tests.faults.disks import fill, small_disk
from tests.integration.shipper.receiver import OtlpReceiver, attributes
from tests.unit.shipper.segments import sent, stream, write_stream
from tests.waiting import wait_until

ORIGIN = Origin(
    "", "box", 1, "publisher", "publisher@box", "shop", "orders", "test", "", "0.1.0", "5", "3"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with small_disk(tmp_path / "disk", "64k") as mounted:
        yield mounted


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_writer, "RETRY_NANOSECONDS", 0)


def writer_on(spool: Path) -> SpoolWriter:
    return SpoolWriter(spool, lambda: ORIGIN, max_bytes=1 << 30, on_trouble=lambda _: None)


def write(writer: SpoolWriter, count: int) -> None:
    code, _, _, fields = sent(0)
    for _ in range(count):
        writer.write(code, time.time_ns(), fields)


@contextmanager
def shipper_of(spool: Path, receiver: OtlpReceiver) -> Iterator[Shipper]:
    patience = Patience()
    made = Shipper(
        ShipperConfig.from_env({"CELERYTRAIL_ENDPOINT": receiver.url}, spool=spool), patience
    )
    try:
        yield made
    finally:
        made.close()
        patience.close()


def numbers(receiver: OtlpReceiver, stream_id: str) -> set[int]:
    return {seq for name, seq in receiver.captured() if name == stream_id}


def reported_lost(receiver: OtlpReceiver, stream_id: str) -> int:
    return max(
        (
            attributes(span).get("celerytrail.lost", 0)
            for name, span in receiver.spans()
            if name == stream_id
        ),
        default=0,
    )


def test_what_a_full_disk_costs_is_reported_exactly(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(32 * 1024))
    writer = writer_on(disk / "spool")
    name = writer.stream_id
    write(writer, 500)
    lost = writer.lost
    assert 0 < lost < 500
    ballast.unlink()
    write(writer, 10)
    assert writer.lost == lost, "there is room again"
    writer.close()
    with OtlpReceiver() as receiver, shipper_of(disk / "spool", receiver) as shipper:
        shipper.drain()
        arrived = numbers(receiver, name)
        # opened, 510 records of ours, one report of the loss, closed
        assert max(arrived) == 510 + 3
        assert set(range(1, max(arrived) + 1)) - arrived != set()
        assert max(arrived) - len(arrived) == lost == reported_lost(receiver, name)
        sends = [span for stream_id, span in receiver.spans() if span.name.startswith("send")]
        assert len(sends) == 510 - lost


def test_living_processes_with_one_segment_each_make_room_of_what_was_delivered(
    disk: Path,
) -> None:
    """Not one block is free, and no segment can be deleted: each one's writer has it open."""
    spool = disk / "spool"
    writers = [writer_on(spool), writer_on(spool)]
    for writer in writers:
        write(writer, 20)
    fill(disk)
    for writer in writers:
        write(writer, 100)
        assert writer.lost > 0
    with OtlpReceiver() as receiver, shipper_of(spool, receiver) as shipper:
        while shipper.ship_some():
            pass
        names = [writer.stream_id for writer in writers]
        before = [len(numbers(receiver, name)) for name in names]
        for _ in range(6):
            for writer in writers:
                write(writer, 5)
            while shipper.ship_some():
                pass
        for name, count in zip(names, before, strict=True):
            assert len(numbers(receiver, name)) > count + 20, "it goes on in what was delivered"
        lost = [writer.lost for writer in writers]
        (disk / "ballast").unlink()
        for writer in writers:
            writer.close()
        shipper.drain()
        for name, count in zip(names, lost, strict=True):
            arrived = numbers(receiver, name)
            assert max(arrived) - len(arrived) == count == reported_lost(receiver, name)
    assert list(spool.glob("*.seg*")) == []


def test_a_process_that_dies_on_a_full_disk_is_reported_though_no_block_is_free(
    disk: Path,
) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.faults.test_full_disk import write, writer_on\n"
        "writer = writer_on(Path(sys.argv[1]))\n"
        "while not writer.lost: write(writer, 1)\n"
        "print(writer.stream_id, flush=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(disk / "spool")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    fill(disk)
    with OtlpReceiver() as receiver, shipper_of(disk / "spool", receiver) as shipper:

        def reported() -> list[str]:
            shipper.ship_some()
            return [
                attributes(span)["celerytrail.about_stream.id"]
                for _, span in receiver.spans()
                if span.name == "stream_abandoned"
            ]

        assert wait_until(reported, "the end without a goodbye is reported") == [name]
        shipper.drain()
        assert list((disk / "spool").glob(f"{name}*")) == []
    assert "stream_closed" not in {
        span.name for stream_id, span in receiver.spans() if stream_id == name
    }


def numbers_of(path: Path) -> tuple[int, int, int, bool]:
    cursor = Cursor.read(path)
    assert cursor is not None
    return cursor.offset, cursor.last_seq, cursor.torn_bytes, cursor.closed


def test_a_cursor_is_moved_where_no_block_is_free(disk: Path) -> None:
    (path,) = write_stream(disk / "spool", stream(1))
    cursor = path.with_suffix(".ack")
    Cursor(999, 1, 0, False).write(cursor)
    fill(disk)
    Cursor(1000, 12, 3, True).write(cursor)
    assert numbers_of(cursor) == (1000, 12, 3, True)
    Cursor(7, 1, 0, False).write(cursor)
    assert numbers_of(cursor) == (7, 1, 0, False)
    assert [p.name for p in (disk / "spool").iterdir() if p.name.endswith(".tmp")] == []
    Cursor(8, 2, 0, False).write(disk / "spool" / "new.ack")
    assert numbers_of(disk / "spool" / "new.ack") == (8, 2, 0, False)
    (disk / "ballast").unlink()
    Cursor(9, 2, 0, False).write(cursor)
    assert not cursor.is_symlink()
    assert Cursor.read(cursor) == Cursor(9, 2, 0, False)
