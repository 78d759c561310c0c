from __future__ import annotations

import fcntl
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool import writer as writer_module
from celerytrail.exporter.spool.directory import spool_usage
from celerytrail.exporter.spool.writer import Origin, SpoolWriter
from tests.spool_segments import read_records, read_segments, read_streams

HEARTBEAT = STEP_BY_NAME["worker_heartbeat"].code
MALFORMED = STEP_BY_NAME["malformed"].code
ORIGIN = Origin("", "h", os.getpid(), "worker", "w@h", "", "shop", "", "", "0", "5", "3")
MIB = 1024 * 1024


class Troubled:
    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def __call__(self, exc: Exception) -> None:
        self.errors.append(exc)


Make = Callable[..., SpoolWriter]


@pytest.fixture
def trouble() -> Troubled:
    return Troubled()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def make(spool: Path, trouble: Troubled) -> Iterator[Make]:
    made = []

    def maker(max_bytes: int = 64 * MIB, segment_bytes: int = MIB) -> SpoolWriter:
        made.append(
            SpoolWriter(
                spool,
                lambda: ORIGIN,
                max_bytes=max_bytes,
                on_trouble=trouble,
                segment_bytes=segment_bytes,
            )
        )
        return made[-1]

    yield maker
    for writer in made:
        writer.close()


def write_texts(writer: SpoolWriter, texts: list[str]) -> None:
    for text in texts:
        writer.write(MALFORMED, 1, (text,))


def in_child(action: Callable[[], None]) -> int:
    """Run something in a forked child and return its exit code; 70 when it raised."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_nothing_is_there_before_the_first_record(make: Make, spool: Path) -> None:
    make()
    assert not spool.exists()


def test_a_stream_opens_counts_and_says_goodbye(make: Make, spool: Path) -> None:
    writer = make()
    stream = writer.stream_id
    write_texts(writer, ["a", "b"])
    writer.close()
    (segment,) = read_segments(spool)
    assert segment.header.stream_id == stream
    assert [(record.seq, record.step.name) for record in segment.records] == [
        (1, "stream_opened"),
        (2, "malformed"),
        (3, "malformed"),
        (4, "stream_closed"),
    ]
    assert segment.records[-1].fields["lost"] == 0
    assert oct((spool / os.listdir(spool)[0]).stat().st_mode & 0o777) == "0o600"


def test_a_record_after_the_goodbye_begins_another_stream(make: Make, spool: Path) -> None:
    writer = make()
    write_texts(writer, ["a"])
    writer.close()
    write_texts(writer, ["b"])
    writer.close()
    assert [len(records) for records in read_streams(spool).values()] == [3, 3]


def test_what_was_written_survives_sigkill(make: Make, spool: Path) -> None:
    writer = make()

    def die() -> None:
        write_texts(writer, [str(number) for number in range(200)])
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    (records,) = read_streams(spool).values()
    assert [record.fields["exception"] for record in records[1:]] == [str(n) for n in range(200)]


def test_the_segment_is_locked_while_its_writer_lives(make: Make, spool: Path) -> None:
    writer = make()
    write_texts(writer, ["a"])
    (path,) = spool.iterdir()
    with path.open("rb") as segment:
        with pytest.raises(BlockingIOError):
            fcntl.flock(segment, fcntl.LOCK_SH | fcntl.LOCK_NB)
        writer.close()
        fcntl.flock(segment, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_forked_child_has_a_stream_of_its_own_and_frees_the_lock(make: Make, spool: Path) -> None:
    writer = make()
    write_texts(writer, ["parent"])
    (path,) = spool.iterdir()
    number, said = os.pipe()
    go_on, told = os.pipe()

    def child() -> None:
        os.close(told)  # or this child would wait for itself when the parent fails
        assert not writer.is_open
        write_texts(writer, ["child"])
        os.write(said, b"x")
        os.read(go_on, 1)
        writer.close()

    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            child()
            code = 0
        finally:
            os._exit(code)
    os.close(said)
    try:
        assert os.read(number, 1) == b"x"
        writer.close()
        with path.open("rb") as segment:  # the child lives, but does not hold the parent's segment
            fcntl.flock(segment, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        for descriptor in (number, go_on, told):
            os.close(descriptor)
        ended = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(ended) == 0
    streams = read_streams(spool)
    assert len(streams) == 2
    assert sorted(records[1].fields["exception"] for records in streams.values()) == [
        "child",
        "parent",
    ]
    secrets = {segment.header.secret for segment in read_segments(spool)}
    assert len(secrets) == 2


def test_rotation_keeps_the_descriptor_and_the_numbers(make: Make, spool: Path) -> None:
    writer = make(segment_bytes=4096)
    write_texts(writer, ["x" * 100])
    descriptor = writer._fd
    write_texts(writer, [str(number).rjust(100) for number in range(200)])
    assert writer._fd == descriptor
    writer.close()
    segments = read_segments(spool)
    assert len(segments) > 5
    assert [segment.header.segment for segment in segments] == [*range(1, len(segments) + 1)]
    numbers = [record.seq for segment in segments for record in segment.records]
    assert numbers == [*range(1, 204)]
    assert all(s.header.first_seq == s.records[0].seq for s in segments)


def test_only_the_newest_segment_is_locked(make: Make, spool: Path) -> None:
    writer = make(segment_bytes=4096)
    write_texts(writer, ["x" * 1000] * 10)
    *older, newest = sorted(spool.iterdir())
    assert older
    for path in older:
        with path.open("rb") as segment:
            fcntl.flock(segment, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with newest.open("rb") as segment, pytest.raises(BlockingIOError):
        fcntl.flock(segment, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_rotation_by_age(make: Make, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = make()
    now = 1_000_000_000_000
    writer.write(MALFORMED, now, ("a",))
    writer.write(MALFORMED, now + writer_module.SEGMENT_NANOSECONDS - 1, ("b",))
    writer.write(MALFORMED, now + writer_module.SEGMENT_NANOSECONDS, ("c",))
    assert [len(segment.records) for segment in read_segments(spool)] == [3, 1]


def test_threads_rotating_at_once_lose_nothing(make: Make, spool: Path) -> None:
    writer = make(segment_bytes=4096)
    start = threading.Barrier(6)
    each = 300

    def run(name: int) -> None:
        start.wait()
        write_texts(writer, [f"{name}:{number}".ljust(80) for number in range(each)])

    threads = [threading.Thread(target=run, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.lost == 0
    writer.close()
    (records,) = read_streams(spool).values()
    assert [record.seq for record in records] == [*range(1, 6 * each + 3)]
    texts = {str(record.fields["exception"]).strip() for record in records[1:-1]}
    assert texts == {f"{name}:{number}" for name in range(6) for number in range(each)}


def test_a_full_directory_drops_the_newest_and_counts(
    make: Make, spool: Path, trouble: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_NANOSECONDS", 0)
    bound = 128 * 1024
    writer = make(max_bytes=bound)
    write_texts(writer, ["x" * 1000] * 400)
    assert writer.lost > 0
    assert spool_usage(spool).bytes <= bound
    assert "CELERYTRAIL_SPOOL_MAX_BYTES" in str(trouble.errors[0])
    kept = read_records(spool)
    first = min(spool.iterdir())
    first.unlink()
    write_texts(writer, ["after"])
    lost = writer.lost
    writer.close()
    newest = read_segments(spool)[-1]
    assert [record.step.name for record in newest.records] == [
        "worker_heartbeat",
        "malformed",
        "stream_closed",
    ]
    assert newest.records[0].fields["lost"] == lost
    assert newest.records[-1].fields["lost"] == lost
    # Every number was taken by a record that is there, or by one that was lost.
    assert newest.records[-1].seq == len(kept) + lost + 3


def test_a_full_disk_leaves_a_torn_frame_and_another_segment_follows(
    make: Make, spool: Path, trouble: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_NANOSECONDS", 0)
    writer = make()
    write_texts(writer, ["before"])

    def fill() -> None:
        write_texts(writer, ["start"])
        used = max(path.stat().st_size for path in spool.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (used + 2500, resource.RLIM_INFINITY))
        write_texts(writer, [f"{number}".ljust(1000) for number in range(12)])
        assert writer.lost > 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        write_texts(writer, ["end"])
        writer.close()

    assert in_child(fill) == 0
    writer.close()
    segments = [segment for segment in read_segments(spool) if segment.header.segment > 1]
    assert segments  # the child had to go on in another segment
    torn = sum(segment.torn_bytes for segment in read_segments(spool))
    assert torn > 0
    child = segments[0].header.stream_id
    records = read_streams(spool)[child]
    closed = records[-1]
    assert closed.step.name == "stream_closed"
    assert closed.fields["lost"] == closed.seq - len(records) > 0
    assert records[-2].fields["exception"] == "end"


def test_a_directory_that_cannot_be_made_loses_and_does_not_raise(
    tmp_path: Path, trouble: Troubled
) -> None:
    (tmp_path / "file").write_text("in the way")
    writer = SpoolWriter(
        tmp_path / "file" / "spool", lambda: ORIGIN, max_bytes=MIB, on_trouble=trouble
    )
    write_texts(writer, ["a", "b"])
    assert writer.lost == 2
    assert "CELERYTRAIL_SPOOL_DIR" in str(trouble.errors[0])
    writer.close()


def test_a_descriptor_that_somebody_closed_is_replaced(
    make: Make, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_NANOSECONDS", 0)
    writer = make()
    write_texts(writer, ["a"])
    os.close(writer._fd)
    write_texts(writer, ["lost", "b"])
    assert writer.lost == 1
    writer.close()
    (records,) = read_streams(spool).values()
    assert [record.fields.get("exception") for record in records] == [None, "a", None, "b", None]


def test_what_marshal_does_not_know_becomes_text(make: Make, spool: Path) -> None:
    class Spiteful:
        def __str__(self) -> str:
            raise RuntimeError("no")

    class Kind:
        def __str__(self) -> str:
            return "kind"

    writer = make()
    writer.write(MALFORMED, 1, ({"a": Kind(), "b": [Spiteful(), b"\xff"], 1: (2.5, None)},))
    (record,) = [record for record in read_records(spool) if record.step.name == "malformed"]
    assert record.fields["exception"] == {
        "a": "kind",
        "b": ["<Spiteful: its text raised>", b"\xff"],
        1: (2.5, None),
    }


def test_a_record_that_is_too_large_is_cut_not_lost(make: Make, spool: Path) -> None:
    writer = make()
    writer.write(MALFORMED, 1, ("x" * (9 * MIB),))
    (record,) = [record for record in read_records(spool) if record.step.name == "malformed"]
    assert str(record.fields["exception"]).endswith("[cut here]")
    assert writer.lost == 0


def test_a_child_process_inherits_no_descriptor(make: Make, spool: Path) -> None:
    writer = make()
    write_texts(writer, ["a"])
    assert not os.get_inheritable(writer._fd)
    write_texts(writer, ["x" * 1000] * 2000)
    assert not os.get_inheritable(writer._fd)


def test_unfinished_segments_are_cleared_away(make: Make, spool: Path) -> None:
    spool.mkdir(mode=0o700)
    stale, fresh = spool / "a.seg.new", spool / "b.seg.new"
    stale.touch()
    fresh.touch()
    os.utime(stale, (1, 1))
    write_texts(make(), ["a"])
    assert not stale.exists()
    assert fresh.exists()
