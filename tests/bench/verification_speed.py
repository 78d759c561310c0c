"""How fast a ledger is verified: in the database, outside of it, and what is new since the last time.

``python -m tests.bench.verification_speed [--blocks N]``: blocks of 2,048 rows, one process. The two ways
take turns, the median of the rounds is shown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict
from typing import Any

from celerytrail.sql.verify import OUTSIDE, SQL, verify_ledger
from tests.bench.bench_server import bench_server, described, new_ledger, servers
from tests.bench.budget import Figure, table
from tests.bench.chained_copy import ROWS, fill_chained

BLOCKS = 200
NEW_ROWS = 60_000


def measure(which: str, rounds: int = 3, blocks: int = BLOCKS) -> dict[str, Any]:
    """Fill a ledger with so many blocks, verify it, add 60,000 rows, and verify those."""
    with bench_server(which) as server:
        name = described(server, which)
        token = new_ledger(server, "ledger")
        dsn = server.dsn("ledger", "celerytrail_verifier")
        fill_chained(server, "ledger", token, blocks)
        speeds: dict[str, list[float]] = {SQL: [], OUTSIDE: []}
        for _ in range(rounds):
            for way, found in speeds.items():
                verified = verify_ledger(dsn, ways=(way,))
                assert not verified.bad
                found.append(verified.readings[0].rows_per_second)
        heads = verify_ledger(dsn, ways=(SQL,)).heads
        fill_chained(server, "ledger", token, -(-NEW_ROWS // ROWS))
        seconds: dict[str, list[float]] = {SQL: [], OUTSIDE: []}
        for _ in range(rounds):
            for way, times in seconds.items():
                begun = time.perf_counter()
                verified = verify_ledger(dsn, ways=(way,), since=heads)
                times.append(time.perf_counter() - begun)
                assert verified.readings[0].rows >= NEW_ROWS
    figures = [
        Figure("whole ledger, in the database", statistics.median(speeds[SQL]), "rows/s", 100_000, 150_000),
        Figure("whole ledger, outside, one process", statistics.median(speeds[OUTSIDE]), "rows/s", 60_000, 100_000),
        Figure(f"{NEW_ROWS:,} new rows, in the database", statistics.median(seconds[SQL]), "s", 1, 0.5, at_most=True),
        Figure(f"{NEW_ROWS:,} new rows, outside", statistics.median(seconds[OUTSIDE]), "s", 1, 0.5, at_most=True),
    ]  # fmt: skip
    return {"server": name, "rows": blocks * ROWS, "figures": figures}


def report(results: list[dict[str, Any]]) -> str:
    """Return a table for each server."""
    return "\n".join(
        table(f"verification of {one['rows']:,} rows, {one['server']}", one["figures"])
        for one in results
    )


def main() -> None:
    """Measure on each server and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    given = parser.parse_args()
    results = [measure(which, given.rounds, given.blocks) for which in servers()]
    print(json.dumps(results, default=asdict) if given.json else report(results))


if __name__ == "__main__":
    main()
