"""Several writers on one chain against a chain each: what waiting for one head costs.

``python -m tests.bench.several_chains [--writers N] [--rounds N] [--rows N] [--commit-ms N] [--json]``. Each writer is a process
with one connection. In a turn all of them write their batches at once, into a ledger with one chain
or into another of the same server with one chain a writer; turns alternate, so a noisy machine hits
both alike. Commits are durable. The ratio is what to compare. ``--commit-ms`` makes each flush of the
log wait so long before it begins, as a slow disk or a standby far away would.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.migrate import migrate
from celerytrail.sql.tokens import create_token, token_hash
from tests.bench.span_batches import span_batches
from tests.processes import exit_on_sigterm

WAYS = ("one chain", "a chain each")
ROWS_A_TURN = 8192
MOST_BATCHES_A_TURN = 16
WARM_UP_TURNS = 1


@dataclass(frozen=True, slots=True)
class Result:
    """Rows a second of all writers together, medians of the turns, and the median of paired ratios."""

    writers: int
    rows_a_batch: int
    turns: int
    one_chain: float
    chain_each: float
    ratio: float
    quartiles: tuple[float, float]


def batches_a_turn(rows: int) -> int:
    """Return how many batches of so many rows a writer writes in a turn."""
    return max(1, min(MOST_BATCHES_A_TURN, ROWS_A_TURN // rows))


def write(pipe: Connection, dsns: dict[str, str], token: bytes, number: int, rows: int) -> None:
    """Be one writer: make batches when told how many turns, write some when told into which ledger."""
    with ExitStack() as stack:
        ledgers = {}
        for way, dsn in dsns.items():
            chains = [number] if way == WAYS[1] else None
            ledgers[way] = Ledger(dsn, max_size=1, timeout_seconds=60, chains=chains)
            ledgers[way].open()
            stack.callback(ledgers[way].close)
        while (turn := pipe.recv()) is not None:
            made = span_batches(batches_a_turn(rows), rows)
            pipe.send("made")
            assert pipe.recv() == "go"
            for batch in made:
                assert ledgers[turn].write_spans(token, batch).inserted == len(batch)
            pipe.send("done")


def measure(writers: int = 4, rounds: int = 10, rows: int = 2048, commit_ms: float = 0.0) -> Result:
    """Return what ``writers`` wrote a second each way."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="celerytrail-")))
        directory.chmod(0o711)
        settings = {"shared_buffers": "512MB"}
        if commit_ms:
            settings |= {"commit_delay": str(int(commit_ms * 1000)), "commit_siblings": "0"}
        server = stack.enter_context(EmbeddedPostgres(directory / "postgres", settings=settings))
        dsns, token = {}, b""
        for way in WAYS:
            name = way.replace(" ", "_")
            migrate(server.create_database(name))
            with psycopg.connect(server.dsn(name), autocommit=True) as connection:
                made = create_token(
                    connection, name="bench", namespace="bench", service="orders", environment=""
                )
                token = token or token_hash(made.token)
                connection.execute("UPDATE celerytrail.tokens SET token_hash = %s", [token])
            dsns[way] = server.dsn(name, "celerytrail_sink")
        context = get_context("spawn")
        pipes = []
        for number in range(writers):
            mine, theirs = context.Pipe()
            process = context.Process(target=write, args=(theirs, dsns, token, number, rows))
            process.start()
            stack.callback(process.join)
            stack.callback(mine.send, None)
            pipes.append(mine)
        speeds: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(rounds + WARM_UP_TURNS):
            for way in WAYS if turn % 2 else reversed(WAYS):
                for pipe in pipes:
                    pipe.send(way)
                assert [pipe.recv() for pipe in pipes] == ["made"] * writers
                begun = time.perf_counter()
                for pipe in pipes:
                    pipe.send("go")
                assert [pipe.recv() for pipe in pipes] == ["done"] * writers
                took = time.perf_counter() - begun
                if turn >= WARM_UP_TURNS:
                    speeds[way].append(writers * batches_a_turn(rows) * rows / took)
        ratios = [each / one for one, each in zip(*(speeds[way] for way in WAYS), strict=True)]
        quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return Result(
            writers,
            rows,
            rounds,
            statistics.median(speeds[WAYS[0]]),
            statistics.median(speeds[WAYS[1]]),
            statistics.median(ratios),
            (quartiles[0], quartiles[2]),
        )


def report(result: Result) -> str:
    """Return the table."""
    low, high = result.quartiles
    return (
        f"{result.writers} writers, batches of {result.rows_a_batch}, {result.turns} turns each,"
        f" {os.cpu_count()} cores, rows/s\n"
        f"one chain {result.one_chain:,.0f}   a chain each {result.chain_each:,.0f}"
        f"   ratio {result.ratio:.2f} ({low:.2f} to {high:.2f})"
    )


def main() -> None:
    """Measure and print."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(description="one chain against several")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--commit-ms", type=float, default=0.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = measure(given.writers, given.rounds, given.rows, given.commit_ms)
    print(json.dumps(asdict(result)) if given.json else report(result))


if __name__ == "__main__":
    main()
