"""The shipper's memory does not grow with what waits in the spool."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.shipper_memory import drain, fill

RECORDS = 60_000
BOUND = 5 * 2**20
"""From the second tenth on, when a batch of the largest size was built and sent, nothing that the
shipper needs grows any more. What kept 110 bytes of each of the other 48,000 records would be over it."""


@pytest.mark.slow
def test_draining_a_large_spool_needs_no_more_than_its_beginning(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    fill(spool, RECORDS, 3)
    drained = drain(spool, RECORDS)
    assert drained.spool_bytes > 100 * RECORDS
    assert drained.growth(since=2) < BOUND, drained
