"""What is written as a head file is read as the same heads."""

from __future__ import annotations

import json
from datetime import timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.sql import head_file
from celerytrail.sql.head_file import Head, Heads
from celerytrail.sql.verification import CannotVerify

HEADS = st.builds(
    Heads,
    ledger_id=st.uuids(),
    format_version=st.just(1),
    time=st.datetimes(timezones=st.just(timezone.utc)),
    chains=st.lists(
        st.builds(
            Head,
            chain=st.integers(0, 2**31 - 1),
            n=st.integers(0, 2**63 - 1),
            hash=st.binary(min_size=32, max_size=32),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@given(heads=HEADS)
def test_heads_come_back(tmp_path_factory: pytest.TempPathFactory, heads: Heads):
    path = tmp_path_factory.mktemp("heads") / "heads.json"
    head_file.write(path, heads)
    assert head_file.read(path) == heads
    assert [entry.name for entry in path.parent.iterdir()] == ["heads.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"chains": []},
        {"chains": [{"chain": 0, "n": 1, "hash": "00"}]},
        {"chains": [{"chain": 0, "n": -1, "hash": "00" * 32}]},
        {"chains": [{"chain": 0, "n": 1}]},
        {"ledger_id": "x"},
        {"time": "yesterday"},
    ],
)
def test_a_file_that_cannot_be_trusted_to_mean_something_is_refused(tmp_path: Path, change: dict):
    good = {
        "ledger_id": "11111111-2222-3333-4444-555555555555",
        "format": 1,
        "time": "2026-11-22T00:00:00+00:00",
        "chains": [{"chain": 0, "n": 1, "hash": "00" * 32}],
    }
    path = tmp_path / "heads.json"
    path.write_text(json.dumps(good))
    assert head_file.read(path).of(0) == Head(0, 1, bytes(32))
    assert head_file.read(path).of(1) is None
    path.write_text(json.dumps(good | change))
    with pytest.raises(CannotVerify, match=r"heads\.json"):
        head_file.read(path)
