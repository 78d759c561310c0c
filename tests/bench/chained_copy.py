"""What the chain costs a bare COPY into the ledger, with one writer and with four.

``python -m tests.bench.chained_copy [--rounds N]``: blocks of 2,048 rows that are encoded beforehand go by
COPY into two databases of one server, in one of which the function that seals does nothing. The two
take turns; each commit is durable. With four writers each has its own connection, and a turn ends
with the last of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.attributes import SPAN_COLUMNS
from celerytrail.exporter.sink.batch import Connection, copy_rows
from celerytrail.sql.named_queries import queries
from tests.bench.bench_server import bench_server, described, new_ledger, servers
from tests.bench.budget import Figure, table
from tests.bench.span_batches import span_batches

ROWS = 2048
WARM_UP = 2
BUDGETS = {1: (0.60, 0.75), 4: (0.70, 0.80)}
_COLUMNS = ", ".join(column.name for column in SPAN_COLUMNS)
_COPY_IN = f"COPY celerytrail.spans ({_COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()
_COPY_OUT = b"COPY pg_temp.staged_spans TO STDOUT (FORMAT BINARY)"


def measure(which: str, rounds: int) -> dict[str, Any]:
    """Write ``rounds`` turns each way with each number of writers on one server."""
    with bench_server(which) as server, ExitStack() as stack:
        name = described(server, which)
        tokens = {way: new_ledger(server, way, chained=way == "chained") for way in ("chained", "plain")}  # fmt: skip
        writers = {
            way: [stack.enter_context(_writer(server, way, token)) for _ in range(max(BUDGETS))]
            for way, token in tokens.items()
        }
        pool = stack.enter_context(ThreadPoolExecutor(max(BUDGETS)))
        figures = []
        for count, (budget, aim) in BUDGETS.items():
            seconds: dict[str, list[float]] = {way: [] for way in writers}
            for number in range(rounds + WARM_UP):
                blocks = [_encoded(writers["plain"][0], rows) for rows in span_batches(count, ROWS)]
                for way in list(writers) if number % 2 else list(writers)[::-1]:
                    begun = time.perf_counter()
                    list(pool.map(_copy_in, writers[way][:count], blocks))
                    if number >= WARM_UP:
                        seconds[way].append(time.perf_counter() - begun)
            ratios = [
                plain / chained
                for chained, plain in zip(seconds["chained"], seconds["plain"], strict=True)
            ]
            low, middle, high = statistics.quantiles(ratios, n=4)
            plural = "writer" if count == 1 else "writers"
            figures.append(
                Figure(f"COPY, {count} {plural}, chained / without chain", middle, "", budget, aim, low=low, high=high)
            )  # fmt: skip
            for way, times in seconds.items():
                speed = count * ROWS / statistics.median(times)
                figures.append(Figure(f"COPY, {count} {plural}, {way}", speed, "rows/s"))
    return {"server": name, "figures": figures}


def report(results: list[dict[str, Any]]) -> str:
    """Return a table for each server."""
    return "\n".join(
        table(f"durable COPY of {ROWS:,} rows a commit, {one['server']}", one["figures"])
        for one in results
    )


def fill_chained(
    server: EmbeddedPostgres, name: str, token: bytes, batches: int, rows: int = ROWS
) -> None:
    """Write so many blocks into a ledger, fast: spans only, no read model."""
    with _writer(server, name, token) as connection:
        for _ in range(batches):
            (batch,) = span_batches(1, rows)
            _copy_in(connection, _encoded(connection, batch))


def _writer(server: EmbeddedPostgres, name: str, token: bytes) -> Connection:
    connection: Connection = psycopg.connect(
        server.dsn(name, "celerytrail_sink"), client_encoding="UTF8"
    )
    connection.execute(queries("ingest")["create_staging"])
    connection.execute(queries("ingest")["authenticate"], {"token_hash": token})
    connection.execute(queries("ingest")["ensure_days"], {"days": []})
    connection.commit()
    return connection


def _encoded(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> bytes:
    copy_rows(connection, queries("ingest")["copy_spans"], SPAN_COLUMNS, rows)
    with connection.cursor().copy(_COPY_OUT) as copy:
        block = b"".join(copy)
    connection.commit()
    return block


def _copy_in(connection: Connection, block: bytes) -> None:
    with connection.cursor().copy(_COPY_IN) as copy:
        copy.write(block)
    connection.commit()


def main() -> None:
    """Measure on each server and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    results = [measure(which, given.rounds) for which in servers()]
    print(json.dumps(results, default=asdict) if given.json else report(results))


if __name__ == "__main__":
    main()
