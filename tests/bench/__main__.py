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
from dataclasses import asdict, is_dataclass
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


def main() -> None:
    """Run every benchmark and print the table, or one JSON object with ``--json``."""
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
    rounds = min(given.rounds, 4) if given.quick else given.rounds

    print("bench: the agent, in the thread that publishes and runs tasks", file=sys.stderr)
    agent = agent_cost.measure(rounds=rounds)
    print("bench: the agent, for a link of a chain", file=sys.stderr)
    links = chain_cost.measure(min(rounds, 10))
    print("bench: from end to end, with workers that take turns", file=sys.stderr)
    ends = end_to_end.measure(*((2, 500) if given.quick else (7, 2000)))
    print("bench: the shipper, CPU a span", file=sys.stderr)
    shipper = shipper_cost.measure(max(2, rounds // 3))
    print("bench: the shipper's memory after an outage", file=sys.stderr)
    drained = shipper_memory.measure(50_000 if given.quick else 1_000_000)
    print("bench: the sink, from a request to rows", file=sys.stderr)
    receive = sink_receive.measure(rounds)
    print("bench: COPY, with and without the chain", file=sys.stderr)
    copies = [chained_copy.measure(which, rounds) for which in servers()]
    print("bench: the sink's transaction, with and without the chain", file=sys.stderr)
    sink = [sink_transaction.measure(which, rounds) for which in servers()]
    print("bench: four writers, on one chain and on a chain each", file=sys.stderr)
    chains = several_chains.measure(rounds=min(rounds, 10))
    print("bench: verification", file=sys.stderr)
    blocks = 20 if given.quick else verification_speed.BLOCKS
    verified = [verification_speed.measure(which, 3, blocks) for which in servers()]
    print("bench: queries of five million events", file=sys.stderr)
    tasks = 10_000 if given.quick else ledger_queries.TASKS
    with tempfile.TemporaryDirectory(prefix="celerytrail-bench-") as directory:
        keep = given.keep or Path(directory)
        queries = ledger_queries.measure(servers()[0], tasks, 5 if given.quick else 30, keep)
        print("bench: a day dropped, ten thousand tasks erased", file=sys.stderr)
        upkeep = ledger_upkeep.measure(
            servers()[0], tasks, 1 if given.quick else 3, keep, 500 if given.quick else 10_000
        )
    print("bench: the queries of the dashboards", file=sys.stderr)
    dashboards = dashboard_queries.measure(5_000) if given.quick else dashboard_queries.measure()
    results: dict[str, Any] = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "agent": agent,
        "chain_links": links,
        "end_to_end": end_to_end.as_json(ends),
        "shipper": shipper,
        "shipper_memory": asdict(drained),
        "sink_receive": receive,
        "chained_copy": copies,
        "sink": sink,
        "several_chains": asdict(chains),
        "verification": verified,
        "ledger_queries": queries,
        "ledger_upkeep": upkeep,
        "dashboards": dashboards,
    }
    if given.json:
        print(json.dumps(results, default=_plain))
        return
    print(f"measured {results['date']} on {results['machine']}\n")
    print(agent_cost.report(agent))
    print()
    print(chain_cost.report(links))
    print()
    print(end_to_end.report(ends))
    print()
    print(shipper_cost.report(shipper))
    print()
    print(shipper_memory.report(drained))
    print()
    print(sink_receive.report(receive))
    print()
    print(chained_copy.report(copies))
    print()
    print(sink_transaction.report(sink))
    print()
    print(several_chains.report(chains))
    print()
    print(verification_speed.report(verified))
    print()
    print(ledger_queries.report(queries))
    print()
    print(ledger_upkeep.report(upkeep))
    print()
    print(dashboard_queries.report(dashboards))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


if __name__ == "__main__":
    main()
