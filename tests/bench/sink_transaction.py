"""What the chain, and the excerpts, cost the sink: whole transactions with and without, in turns.

``python -m tests.bench.sink_transaction [--json] [--rounds N]`` writes the same batches through the
sink's own code into two databases of one server: in one of them the function that seals does
nothing. Dedupe, tasks, runs and streams are the same in both; commits are durable. The two take turns
batch by batch, so a noisy machine hits both alike; the ratio is what to compare. Then the same with
payloads, args and kwargs of each task, into one that keeps no excerpts to search. "Server's CPU" is the CPU
time of the process that serves the writer: what is left to compare when the machine is busy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.ledger import Ledger
from tests.bench.bench_server import bench_server, described, new_ledger, servers
from tests.bench.budget import Figure, percentile, table
from tests.bench.process_cpu import cpu_seconds
from tests.bench.span_batches import STEPS, payloads_of, span_batches

ROWS = 2048
PAYLOADS = ROWS // len(STEPS) * 2
SMALL = 512
WARM_UP = 3
"""Batches that are not counted: the first ones fill caches and plan statements."""

_WRITERS = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'celerytrail_sink'"
_NO_EXCERPTS = """
    CREATE OR REPLACE FUNCTION celerytrail.add_searchable() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'
"""


def measure(which: str, rounds: int) -> dict[str, Any]:
    """Write ``rounds`` batches each way on one server and return its name and the figures."""
    with bench_server(which) as server:
        name = described(server, which)
        chained = new_ledger(server, "chained")
        plain = new_ledger(server, "plain", chained=False)
        silent = new_ledger(server, "silent")
        with psycopg.connect(server.dsn("silent"), autocommit=True) as connection:
            connection.execute(_NO_EXCERPTS.encode())
        spans, spans_cpu = _timed(
            server, {"chained": chained, "plain": plain}, rounds, ROWS, payloads=False
        )
        small, _ = _timed(server, {"chained": chained}, 2 * rounds, SMALL, payloads=False)
        whole, whole_cpu = _timed(
            server, {"chained": chained, "plain": plain, "silent": silent}, rounds, ROWS, payloads=True
        )  # fmt: skip
    figures = [
        _ratio("transaction of spans, chained / without chain", spans["plain"], spans["chained"], 0.75, 0.85),
        _ratio("  in server's CPU", spans_cpu["plain"], spans_cpu["chained"]),
        _speed("transaction of spans, chained", spans["chained"], ROWS),
        _ratio("spans and 2 payloads a task, chained / without chain", whole["plain"], whole["chained"], 0.75, 0.85),
        _ratio("  in server's CPU", whole_cpu["plain"], whole_cpu["chained"]),
        _speed("spans and 2 payloads a task, chained", whole["chained"], ROWS + PAYLOADS),
        _speed("  of them spans", whole["chained"], ROWS),
        _ratio("the same with excerpts to search / without", whole["silent"], whole["chained"], 0.90, 0.95),
        _ratio("  in server's CPU", whole_cpu["silent"], whole_cpu["chained"]),
        Figure(f"batch of {SMALL} spans, p95", 1000 * percentile(small["chained"], 0.95), "ms", 75, 50, at_most=True),
    ]  # fmt: skip
    return {"server": name, "figures": figures}


def report(results: list[dict[str, Any]]) -> str:
    """Return a table for each server."""
    return "\n".join(
        table(
            f"whole sink transaction, {ROWS:,} spans a batch, one writer, durable, {one['server']}",
            one["figures"],
        )
        for one in results
    )


def _timed(
    server: EmbeddedPostgres, tokens: Mapping[str, bytes], rounds: int, rows: int, *, payloads: bool
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    seconds: dict[str, list[float]] = {name: [] for name in tokens}
    cpu: dict[str, list[float]] = {name: [] for name in tokens}
    with ExitStack() as stack:
        ledgers = {}
        for name in tokens:
            ledgers[name] = Ledger(server.dsn(name, "celerytrail_sink"), timeout_seconds=60)
            ledgers[name].open()
            stack.callback(ledgers[name].close)
        for number in range(rounds + WARM_UP):
            (batch,) = span_batches(1, rows)
            items = payloads_of(batch) if payloads else []
            # Who goes first pays for a cold cache.
            names = list(tokens) if number % 2 else list(tokens)[::-1]
            for name in names:
                ledgers[name].ready()
                worked = _server_cpu(server, name)
                begun = time.perf_counter()
                if items:
                    ledgers[name].write_payloads(tokens[name], items)
                written = ledgers[name].write_spans(tokens[name], batch)
                took = time.perf_counter() - begun
                assert written.inserted == len(batch)
                if number >= WARM_UP:
                    seconds[name].append(took)
                    cpu[name].append(_server_cpu(server, name) - worked)
    return seconds, cpu


def _server_cpu(server: EmbeddedPostgres, name: str) -> float:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        found = connection.execute(_WRITERS.encode(), [name]).fetchall()
    return sum(cpu_seconds(pid) for (pid,) in found)


def _ratio(
    what: str,
    without: list[float],
    with_it: list[float],
    budget: float | None = None,
    aim: float | None = None,
) -> Figure:
    ratios = [bare / full for bare, full in zip(without, with_it, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Figure(what, middle, "", budget, aim, low=low, high=high)


def _speed(what: str, seconds: list[float], rows: int) -> Figure:
    low, middle, high = (rows / edge for edge in statistics.quantiles(seconds, n=4)[::-1])
    return Figure(what, middle, "rows/s", 12_000, 20_000, low=low, high=high)


def main() -> None:
    """Measure on each server and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    results = [measure(which, given.rounds) for which in servers()]
    print(json.dumps(results, default=asdict) if given.json else report(results))


if __name__ == "__main__":
    main()
