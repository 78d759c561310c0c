"""``python -m tests.bench``: one table of ratios, each measured interleaved in one run.

Absolute figures are those of the machine it runs on; the ratios are what to compare and to quote.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.bench import (
    agent_cost,
    chain_cost,
    chained_copy,
    dashboard_queries,
    end_to_end,
    ledger_queries,
    ledger_upkeep,
    several_chains,
    shipper_cost,
    shipper_memory,
    sink_receive,
    sink_transaction,
    verification_speed,
)
from tests.bench.bench_server import servers
from tests.processes import exit_on_sigterm


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark: its key in the JSON, what is said while it runs, how to measure and to report it."""

    key: str
    what: str
    measure: Callable[[], Any]
    report: Callable[[Any], str]


def main() -> None:
    """Run every benchmark and print its table as soon as it is there, or one JSON object with ``--json``."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of each benchmark")
    parser.add_argument(
        "--quick", action="store_true", help="few rounds of everything, small spools"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="a directory for the ledger of five million events, asked again later",
    )
    given = parser.parse_args()
    results: dict[str, Any] = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    if not given.json:
        print(f"measured {results['date']} on {results['machine']}", flush=True)
    with tempfile.TemporaryDirectory(prefix="celerytrail-bench-") as directory:
        keep = given.keep or Path(directory)
        for part in _parts(
            given.quick, min(given.rounds, 4) if given.quick else given.rounds, keep
        ):
            print(f"bench: {part.what}", file=sys.stderr)
            measured = results[part.key] = part.measure()
            if not given.json:
                print(f"\n{part.report(measured)}", flush=True)
    if given.json:
        print(json.dumps(results, default=_plain))


def _parts(quick: bool, rounds: int, keep: Path) -> list[Part]:
    """Return the benchmarks, those that take longest last."""
    blocks = 20 if quick else verification_speed.BLOCKS
    tasks = 10_000 if quick else ledger_queries.TASKS
    system = servers()[0]
    return [
        Part("agent", "the agent, in the thread that publishes and runs tasks",
             lambda: agent_cost.measure(rounds=rounds), agent_cost.report),
        Part("chain_links", "the agent, for a link of a chain",
             lambda: chain_cost.measure(min(rounds, 10)), chain_cost.report),
        Part("shipper", "the shipper, CPU a span",
             lambda: shipper_cost.measure(max(2, rounds // 3)), shipper_cost.report),
        Part("sink_receive", "the sink, from a request to rows",
             lambda: sink_receive.measure(rounds), sink_receive.report),
        Part("chained_copy", "COPY, with and without the chain",
             lambda: [chained_copy.measure(which, rounds) for which in servers()], chained_copy.report),
        Part("sink", "the sink's transaction, with and without the chain",
             lambda: [sink_transaction.measure(which, rounds) for which in servers()], sink_transaction.report),
        Part("several_chains", "four writers, on one chain and on a chain each",
             lambda: several_chains.measure(rounds=min(rounds, 10)), several_chains.report),
        Part("verification", "verification",
             lambda: [verification_speed.measure(which, 3, blocks) for which in servers()], verification_speed.report),
        Part("dashboards", "the queries of the dashboards",
             lambda: dashboard_queries.measure(*([5_000] if quick else [])), dashboard_queries.report),
        Part("ledger_queries", "queries of five million events",
             lambda: ledger_queries.measure(system, tasks, 5 if quick else 30, keep), ledger_queries.report),
        Part("ledger_upkeep", "a day dropped, ten thousand tasks erased",
             lambda: ledger_upkeep.measure(system, tasks, 1 if quick else 3, keep, 500 if quick else 10_000), ledger_upkeep.report),
        Part("shipper_memory", "the shipper's memory after an outage",
             lambda: shipper_memory.measure(50_000 if quick else 1_000_000), shipper_memory.report),
        Part("end_to_end", "from end to end, with workers that take turns",
             lambda: end_to_end.measure(*((2, 500) if quick else (7, 2000))), end_to_end.report),
    ]  # fmt: skip


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


if __name__ == "__main__":
    main()
