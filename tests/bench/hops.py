"""What an event costs on each hop of its way: shipper, Collector, sink, Postgres; CPU microseconds.

``python -m tests.bench.hops [--tasks N] [--rounds N] [--json]``. The real agent writes a spool once; each round a
shipper delivers a copy of it, as a spool of its own, to the official Collector with the committed
configuration, that one to a sink, and the sink to Postgres. CPU is read from ``/proc`` before and after, so
the other load of the machine does not count; a way without the Collector takes turns with it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.deployment import DEFAULT_SERVICE
from celerytrail.sql.migrate import migrate
from celerytrail.sql.tokens import create_token
from tests.bench.shipper_cost import TWO, write_spool
from tests.processes import exit_on_sigterm
from tests.real_collector import BINARY, RealCollector
from tests.sink_process import SinkProcess
from tests.waiting import wait_until

HOPS = ("shipper", "Collector", "sink", "Postgres")
DIRECT = ("shipper", "sink", "Postgres")
STORED = b"SELECT count(*) FROM celerytrail.spans"
TICK = os.sysconf("SC_CLK_TCK")


def tree_seconds(root: int) -> float:
    """Return the CPU time of a process and all below it, of ended and waited-for ones too."""
    total, left = 0.0, [root]
    parents: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # utime, stime, and what children took that were waited for.
        times[int(entry.name)] = sum(map(int, fields[11:15])) / TICK
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    while left:
        pid = left.pop()
        total += times.get(pid, 0.0)
        left += parents.get(pid, [])
    return total


def ship(spool: Path, endpoint: str, token: str) -> tuple[float, int]:
    """Deliver a spool by the command; return the CPU seconds, its start included, and the spans."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("celerytrail")),
            *("ship", "--once", "--timeout", "600", "--spool", str(spool)),
        ],
        env={
            "PATH": os.environ["PATH"],
            "CELERYTRAIL_ENDPOINT": endpoint,
            "CELERYTRAIL_TOKEN": token,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = re.search(r"delivered (\d+) spans", done.stderr)
    assert told is not None, done.stderr
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, int(told[1])


@contextmanager
def receiving(directory: Path) -> Iterator[tuple[EmbeddedPostgres, SinkProcess, RealCollector]]:
    """Run a ledger, a sink and a Collector in front of it."""
    with ExitStack() as stack:
        settings = {"shared_buffers": "512MB"}
        server = stack.enter_context(EmbeddedPostgres(directory / "postgres", settings=settings))
        dsn = server.create_database("hops")
        migrate(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            made = create_token(
                connection, name="bench", namespace="", service=DEFAULT_SERVICE, environment=""
            )
        sink = SinkProcess(server.dsn("hops", "celerytrail_sink"), directory / "sink", made.token)
        stack.callback(sink.close)
        sink.start()
        token_file = directory / "token"
        token_file.write_text(made.token + "\n")
        token_file.chmod(0o600)
        collector = RealCollector(sink.url, token_file, directory / "otelcol")
        stack.enter_context(collector)
        yield server, sink, collector


def measure(tasks: int = 5_000, rounds: int = 3) -> dict[str, dict[str, float]]:
    """Return microseconds an event by hop, through the Collector and straight to the sink."""
    samples: dict[str, dict[str, list[float]]] = {
        "through the Collector": {hop: [] for hop in HOPS},
        "straight": {hop: [] for hop in DIRECT},
    }
    with tempfile.TemporaryDirectory(prefix="celerytrail-") as folder:
        directory = Path(folder)
        directory.chmod(0o711)
        with receiving(directory) as (server, sink, collector):
            for turn in range(rounds + 1):
                for way, hops in samples.items():
                    spool = directory / "spool"
                    write_spool(spool, TWO, tasks)
                    took, events = one_turn(server, sink, collector, spool, way)
                    shutil.rmtree(spool)
                    if turn:  # the first one fills caches and opens connections
                        for hop, found in hops.items():
                            found.append(took[hop] / events * 1e6)
    return {
        way: {hop: statistics.median(found) for hop, found in hops.items()}
        for way, hops in samples.items()
    }


def one_turn(
    server: EmbeddedPostgres,
    sink: SinkProcess,
    collector: RealCollector,
    spool: Path,
    way: str,
) -> tuple[dict[str, float], int]:
    """Ship a spool one way; return the CPU seconds of each hop, and how many events arrived."""
    assert sink.process is not None
    pids = {"sink": sink.process.pid, "Postgres": server.pid, "Collector": collector.pid}
    with psycopg.connect(server.dsn("hops"), autocommit=True) as connection:

        def stored() -> int:
            (row,) = connection.execute(STORED).fetchall()
            return int(row[0])

        had = stored()
        before = {hop: tree_seconds(pid) for hop, pid in pids.items()}
        endpoint = sink.url if way == "straight" else collector.endpoint
        shipped, events = ship(spool, endpoint, sink.token)
        wait_until(lambda: stored() - had == events, "all of it is stored", 600)
        wait_until(lambda: collector.queued() == 0, "the Collector has passed all on", 600)
        took = {hop: tree_seconds(pid) - before[hop] for hop, pid in pids.items()}
        return took | {"shipper": shipped}, events


def report(results: dict[str, dict[str, float]]) -> str:
    """Return the table."""
    lines = [f"{'CPU us an event':<24}" + "".join(f"{hop:>12}" for hop in HOPS)]
    for way, hops in results.items():
        cells = (f"{hops[hop]:>12.1f}" if hop in hops else f"{'':>12}" for hop in HOPS)
        lines.append(f"{way:<24}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(description="CPU an event, hop by hop")
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not os.access(BINARY, os.X_OK):
        raise SystemExit("the Collector is not built: run make collector")
    results = measure(given.tasks, given.rounds)
    print(json.dumps(results) if given.json else report(results))


if __name__ == "__main__":
    main()
