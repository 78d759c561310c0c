"""What is left open of a stream is known at every place of it, also to the next reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.open_runs import MAX_CARRIED, OpenRun, OpenRuns
from celerytrail.exporter.spool.reader import SpoolReader
from celerytrail.exporter.spool.record import Record
from tests.unit.shipper.segments import NOW, record, request, trail, values, write_stream

RUN_A, RUN_B = "a" * 16, "b" * 16


def started(seq: int, run_id: str, **more: Any) -> tuple[Any, ...]:
    return values(
        "started", seq, NOW + seq, trail=trail(), request=request(run_id), run_id=run_id, **more
    )


def ended(seq: int, run_id: str, step: str = "succeeded", **more: Any) -> tuple[Any, ...]:
    return values(step, seq, NOW + seq, run_id=run_id, start_unix_nano=NOW, runtime_ns=5, **more)


def read_on(reader: SpoolReader, *, records: int = 10_000) -> list[Record]:
    reader.refresh()
    chunks = reader.read(max_records=records, max_bytes=1 << 20)
    for chunk in chunks:
        reader.acknowledge(chunk)
    return [item.record for chunk in chunks for item in chunk.records]


def test_a_short_end_gets_back_what_its_start_said() -> None:
    runs = OpenRuns()
    runs.follow(Record.from_tuple(started(1, RUN_A)))
    end = Record.from_tuple(ended(2, RUN_A))
    assert end.fields["request"] is None
    runs.follow(end)
    assert end.fields["trail"] == trail()
    assert end.fields["request"] == request(RUN_A)
    assert runs.carried() == ()


def test_what_an_end_says_itself_is_kept() -> None:
    runs = OpenRuns()
    runs.follow(Record.from_tuple(started(1, RUN_A)))
    end = Record.from_tuple(ended(2, RUN_A, trail=None, request=request("other")))
    runs.follow(end)
    assert end.fields["request"] == request("other")
    assert len(runs) == 0


@pytest.mark.parametrize("run_id", [[RUN_A], {}, 7, ""])
def test_an_end_whose_run_is_no_text_does_not_hold_up_the_reader(run_id: Any) -> None:
    runs = OpenRuns()
    runs.follow(Record.from_tuple(started(1, RUN_A)))
    runs.follow(Record.from_tuple(ended(2, run_id)))
    assert [run.run_id for run in runs.carried()] == [RUN_A]


def test_an_end_without_a_run_closes_none() -> None:
    runs = OpenRuns()
    runs.follow(Record.from_tuple(started(1, RUN_A)))
    runs.follow(record("failed", 2, request=request(RUN_A)))
    assert [run.run_id for run in runs.carried()] == [RUN_A]


@pytest.mark.parametrize("step", ["failed", "retried", "ignored", "rejected", "aborted", "revoked"])
def test_every_end_of_a_run_closes_it(step: str) -> None:
    runs = OpenRuns()
    runs.follow(Record.from_tuple(started(1, RUN_A)))
    runs.follow(record(step, 2, run_id=RUN_A))
    assert len(runs) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60), st.data())
def test_the_next_reader_goes_on_at_any_place(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int]], data: st.DataObject
) -> None:
    spool = tmp_path_factory.mktemp("spool")
    now_open: set[str] = set()
    records = [values("stream_opened", 1)]
    for begins, number in steps:
        run_id = f"{number:016x}"
        if begins != (run_id in now_open):
            (now_open.add if begins else now_open.discard)(run_id)
            make = started if begins else ended
            records.append(make(len(records) + 1, run_id))
    write_stream(spool, records, per_segment=data.draw(st.integers(2, 20)))
    found: list[Record] = []
    while True:
        more = read_on(SpoolReader(spool), records=data.draw(st.integers(1, 10)))
        if not more:
            break
        found += more
    for one in found:
        if one.step.name == "succeeded":
            assert one.fields["request"] == request(one.fields["run_id"])
    assert [one.seq for one in found] == [*range(1, len(records) + 1)]
    reader = SpoolReader(spool)
    read_on(reader)
    (stream,) = reader.delete_finished()
    assert {run.run_id for run in stream.open_runs} == now_open
    assert not stream.closed


def test_more_open_runs_than_a_cursor_holds(tmp_path: Path) -> None:
    count = MAX_CARRIED + 50
    ids = [f"{number:016x}" for number in range(1, count + 1)]
    records = [values("stream_opened", 1)]
    records += [started(seq, run_id) for seq, run_id in enumerate(ids, start=2)]
    records += [ended(seq, run_id) for seq, run_id in enumerate(ids, start=count + 2)]
    write_stream(tmp_path / "spool", records)
    assert len(read_on(SpoolReader(tmp_path / "spool"), records=count + 1)) == count + 1
    rest = read_on(SpoolReader(tmp_path / "spool"))
    assert len(rest) == count
    assert [one.fields["request"] for one in rest] == [request(run_id) for run_id in ids]


def test_a_cursor_holds_open_runs(tmp_path: Path) -> None:
    runs = (OpenRun(RUN_A, 5, trail(), request("é\n")), OpenRun(RUN_B, 6, None, request("b")))
    cursor = Cursor(10, 2, 0, False, runs)
    cursor.write(tmp_path / "x.ack")
    assert Cursor.read(tmp_path / "x.ack") == cursor


@pytest.mark.parametrize("rest", ["[1]\n", "{}\n", "nonsense\n", "[1, 2, 3, 4, 5]\n"])
def test_a_cursor_that_is_garbled_is_none(tmp_path: Path, rest: str) -> None:
    (tmp_path / "x.ack").write_text("10 2 0 0\n" + rest)
    assert Cursor.read(tmp_path / "x.ack") is None


def test_a_cursor_of_a_full_disk_has_the_runs_read_again(tmp_path: Path) -> None:
    records = [values("stream_opened", 1), started(2, RUN_A), started(3, RUN_B), ended(4, RUN_A)]
    (path,) = write_stream(tmp_path / "spool", [*records, ended(5, RUN_B)])
    read_on(SpoolReader(tmp_path / "spool"), records=4)
    cursor = path.with_suffix(".ack")
    line = cursor.read_text().splitlines()[0]
    cursor.unlink()
    cursor.symlink_to(line)
    (end,) = read_on(SpoolReader(tmp_path / "spool"))
    assert end.fields["request"] == request(RUN_B)
