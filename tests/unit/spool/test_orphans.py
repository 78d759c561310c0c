"""Cursors and wraps without their segment are swept; nothing else is touched."""

from __future__ import annotations

from pathlib import Path

from celerytrail.exporter.spool.orphans import remove_orphans
from tests.unit.shipper.segments import STREAM

GONE = "ab" * 16


def test_only_what_belongs_to_no_segment_is_removed(tmp_path: Path) -> None:
    kept = (
        f"{STREAM}-000001.seg",
        f"{STREAM}-000001.ack",
        f"{STREAM}-000001.wrap",
        f"{GONE}-000002.seg.new",
        "shipper.lock",
        "notes.ack",
        "notes.tmp",
    )
    orphans = (
        f"{STREAM}-000002.ack",
        f"{GONE}-000001.ack",
        f"{GONE}-000001.wrap",
        f"{GONE}-000001.wrap.tmp",
        f"{STREAM}-000001.ack.tmp",
    )
    for name in kept + orphans:
        (tmp_path / name).write_bytes(b"x")
    assert remove_orphans(tmp_path) == len(orphans)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_a_directory_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert remove_orphans(tmp_path / "missing") == 0
