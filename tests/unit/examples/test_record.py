"""What the shop writes down can be counted on while it is being written."""

from __future__ import annotations

from pathlib import Path

import pytest

from celerytrail.examples.shop.record import RAN, SENT, Entry, read_record, write_down


def test_lines_come_back_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "record"
    monkeypatch.setenv("SHOP_RECORD", str(record))
    entries = [Entry(SENT, "1", ""), Entry(RAN, "1", "shop.pack", 2)]
    for entry in entries:
        write_down(entry)
    assert list(read_record(record)) == entries


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.write_text('{"what": "sent", "id": "1", "task": "", "retries": 0}\n{"what": "se')
    assert [entry.id for entry in read_record(record)] == ["1"]


def test_without_a_file_nothing_is_written_or_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_RECORD", raising=False)
    write_down(Entry(SENT, "1", ""))
    assert list(read_record(tmp_path / "record")) == []
