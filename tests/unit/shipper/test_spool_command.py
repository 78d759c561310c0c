"""``celerytrail spool``: it shows what is there, hides what the shipper hides, and changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from celerytrail.exporter.shipper.spool_command import spool as command
from celerytrail.exporter.shipper.spool_tail import SpoolTail
from celerytrail.exporter.spool.election import ShipperLock, looks_shipped
from celerytrail.exporter.spool.segment import encode_record, segment_name
from celerytrail.exporter.spool.segment_state import SegmentState, look_at
from celerytrail.exporter.spool.writer import Origin, SpoolWriter
from tests.integration.shipper.receiver import OtlpReceiver, attributes
from tests.integration.shipper.shippers import ship_once
from tests.unit.shipper.segments import (
    HEADER,
    STREAM,
    body,
    segment_bytes,
    sent,
    stream,
    values,
    write_segment,
    write_stream,
)

OTHER = "fedcba9876543210fedcba9876543210"
SECRET = "hunter2-unguessable"


def call(*arguments: str, spool: Path) -> Result:
    return CliRunner().invoke(command, [*arguments, "--spool", str(spool)])


def lines(*arguments: str, spool: Path) -> list[dict[str, Any]]:
    done = call(*arguments, spool=spool)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def seen(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        path.name: (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes())
        for path in sorted(directory.iterdir())
    }


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A delivered and a waiting segment, a stream that was left torn, and one without a header."""
    directory = tmp_path / "spool"
    first, _ = write_stream(directory, stream(6, secret=SECRET), per_segment=4)
    first.with_suffix(".ack").write_text(f"{first.stat().st_size} 4 0 0\n")
    left = segment_bytes([values("stream_opened", 1), sent(2)], replace(HEADER, stream_id=OTHER))
    (directory / segment_name(OTHER, 1)).write_bytes(left + encode_record(sent(3))[:-5])
    (directory / segment_name("0c" * 16, 1)).write_bytes(b"no segment at all")
    return directory


def test_ls_says_how_each_segment_stands(spool: Path) -> None:
    rows = lines("ls", "--json", spool=spool)
    names = ("number", "state", "records", "waiting", "torn_bytes", "first_seq", "last_seq")
    torn = len(encode_record(sent(3))) - 5
    assert {(r["stream"], *(r[name] for name in names)) for r in rows} == {
        (STREAM, 1, "left", 4, 0, 0, 1, 4),
        (STREAM, 2, "closed", 4, 4, 0, 5, 8),
        (OTHER, 1, "left", 2, 2, torn, 1, 2),
        ("0c" * 16, 1, "left", 0, 0, 17, 0, 0),
    }
    shown = call("ls", spool=spool).stdout.splitlines()
    assert shown[0].split()[:3] == ["STREAM", "SEGMENT", "PROCESS"]
    assert len(shown) == 5
    assert shown[1].split()[:6] == [STREAM[:8], "1", "publisher", "publisher@box", "4321", "left"]


def test_stat_says_the_sums(spool: Path) -> None:
    (gap,) = write_stream(spool, [values("stream_opened", 1)], stream_id="0e" * 16)
    gap.write_bytes(gap.read_bytes() + encode_record(values("worker_heartbeat", 5, lost=3)))
    (spool / "rejected").mkdir()
    (spool / "rejected" / "1-traces-400-abcdef00.otlp.gz").write_bytes(b"xyz")
    (sums,) = lines("stat", "--json", spool=spool)
    assert sums["streams"] == 4
    assert sums["segments"] == 5
    assert sums["bytes"] == sum(path.stat().st_size for path in spool.glob("*.seg"))
    assert sums["waiting"] == 8
    assert sums["missing"] == 3
    assert sums["dropped"] == 3
    assert (sums["rejected"], sums["rejected_bytes"]) == (1, 3)
    assert (sums["shipper_runs"], sums["shipper"], sums["live_streams"]) == (False, None, 0)
    lock = ShipperLock(spool)
    assert lock.acquire()
    try:
        assert lines("stat", "--json", spool=spool)[0]["shipper_runs"] is True
    finally:
        lock.release()
    assert "shipper runs:   no" in call("stat", spool=spool).stdout


def test_cat_shows_what_the_shipper_sends_and_no_secret(spool: Path) -> None:
    done = call("cat", spool=spool)
    assert done.exit_code == 0
    assert SECRET not in done.output
    rows = lines("cat", STREAM, spool=spool)
    assert [(r["seq"], r["step"], r["delivered"]) for r in rows] == [
        (seq, "stream_opened" if seq == 1 else "stream_closed" if seq == 8 else "sent", seq <= 4)
        for seq in range(1, 9)
    ]
    with OtlpReceiver() as receiver:
        assert ship_once(spool, receiver.url).returncode == 0
    sent_to_receiver = {
        (attributes(log)["celerytrail.seq"], attributes(log)["celerytrail.payload.kind"]): (
            json.loads(log.body.string_value)
        )
        for name, log in receiver.logs()
        if name == STREAM and attributes(log)["celerytrail.payload.kind"] != "body"
    }
    shown = {
        (row["seq"], kind): value for row in rows for kind, value in row.get("payload", {}).items()
    }
    assert {key: shown[key] for key in sent_to_receiver} == sent_to_receiver
    assert {seq for seq, _ in sent_to_receiver} == {5, 6, 7}, "the others were delivered before"
    assert shown[5, "kwargs"].keys() == {"password"}


def test_cat_redacts_by_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_segment(tmp_path / "spool", [sent(1, data=body((1,), {"seat": SECRET}))])
    assert SECRET in call("cat", spool=tmp_path / "spool").stdout
    monkeypatch.setenv("CELERYTRAIL_REDACT_KEYS", "seat")
    assert SECRET not in call("cat", spool=tmp_path / "spool").stdout
    monkeypatch.setenv("CELERYTRAIL_REDACT_PATTERNS", "(")
    refused = call("cat", spool=tmp_path / "spool")
    assert refused.exit_code == 1
    assert "CELERYTRAIL_REDACT_PATTERNS" in refused.output


def test_cat_of_one_segment_and_torn_bytes(spool: Path) -> None:
    assert [r["seq"] for r in lines("cat", f"{STREAM}-000002", spool=spool)] == [5, 6, 7, 8]
    rows = lines("cat", OTHER[:6], spool=spool)
    assert [row.get("seq") for row in rows] == [1, 2, None]
    assert rows[-1]["torn_bytes"] == len(encode_record(sent(3))) - 5
    refused = call("cat", "0123abc", spool=spool)
    assert refused.exit_code == 1
    assert "0123abc" in refused.output


def test_looking_changes_nothing(spool: Path) -> None:
    before = seen(spool)
    for arguments in (("ls",), ("stat",), ("cat",), ("ls", "--json"), ("stat", "--json")):
        assert call(*arguments, spool=spool).exit_code == 0
    assert seen(spool) == before
    assert not looks_shipped(spool)
    assert seen(spool) == before


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    for arguments in (("ls",), ("stat",), ("cat",)):
        done = call(*arguments, spool=tmp_path / "nowhere")
        assert done.exit_code == 1
        assert str(tmp_path / "nowhere") in done.output


def test_segments_that_are_deleted_meanwhile_are_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipper deletes in order: between the look at the first and at the second, both go."""
    first, second, third = write_stream(tmp_path / "spool", stream(7), per_segment=3)

    def look_late(path: Path, stream_id: str, number: int) -> SegmentState | None:
        if path == second:
            first.unlink()
            second.unlink()
        return look_at(path, stream_id, number)

    monkeypatch.setattr("celerytrail.exporter.spool.survey.look_at", look_late)
    (sums,) = lines("stat", "--json", spool=tmp_path / "spool")
    assert (sums["segments"], sums["missing"]) == (1, 0)
    assert third.exists()


def test_the_name_of_a_worker_does_not_steer_the_terminal(tmp_path: Path) -> None:
    header = replace(HEADER, worker="w\x1b[2J@box")
    write_segment(tmp_path / "spool", [values("stream_opened", 1)], header)
    for arguments in (("ls",), ("ls", "--json"), ("cat",)):
        assert "\x1b" not in call(*arguments, spool=tmp_path / "spool").stdout


def test_what_is_written_meanwhile_comes_once_and_in_order(tmp_path: Path) -> None:
    origin = Origin("", "box", os.getpid(), "worker", "w@box", "", "orders", "", "", "1", "5", "3")
    writer = SpoolWriter(
        tmp_path / "spool",
        lambda: origin,
        max_bytes=1 << 30,
        on_trouble=lambda exc: pytest.fail(str(exc)),
        segment_bytes=4096,
    )
    code, _, now, *fields = sent(0)
    writer.write(code, now, tuple(fields))
    tail = SpoolTail(tmp_path / "spool")
    got: list[int] = []
    for _ in range(40):
        writer.write(code, now, tuple(fields))
        got += [item.passage.record.seq for item in tail.new() if item.passage.record]
    (row, *_) = reversed(lines("ls", "--json", spool=tmp_path / "spool"))
    assert row["state"] == "live"
    assert row["number"] > 2
    live = tmp_path / "spool" / row["segment"]
    with live.open("ab") as file:  # half a record: the rest of it may still come
        file.write(encode_record(sent(43))[:9])
    assert [item for item in tail.new() if item.passage.record is None] == []
    assert lines("cat", spool=tmp_path / "spool")[-1]["unfinished_bytes"] == 9
    assert got == list(range(1, 43))
    writer.close()
    with live.open("ab") as file:
        file.write(b"\0")
    assert [
        item.passage.end - item.passage.start for item in tail.new() if item.passage.record is None
    ]


def test_follow_goes_on_with_what_comes(tmp_path: Path) -> None:
    path = write_segment(tmp_path / "spool", [values("stream_opened", 1)])
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt
        path.write_bytes(path.read_bytes() + encode_record(sent(len(waits) + 1)))

    got = []
    with contextlib.suppress(KeyboardInterrupt):
        for item in SpoolTail(tmp_path / "spool").follow(wait):
            assert item.passage.record is not None
            got.append(item.passage.record.seq)
    assert got == [1, 2, 3]
