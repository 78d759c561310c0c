"""``python -m tests.bench``: one table of ratios, each measured interleaved in one run.

Absolute figures are those of the machine it runs on; the ratios are what to compare and to quote.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from tests.bench import (
    agent_cost,
    dashboard_queries,
    end_to_end,
    shipper_cost,
    shipper_memory,
    sink_transaction,
)
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
    given = parser.parse_args()
    rounds = min(given.rounds, 4) if given.quick else given.rounds

    print("bench: the agent, in the thread that publishes and runs tasks", file=sys.stderr)
    agent = agent_cost.measure(rounds=rounds)
    print("bench: from end to end, with workers that take turns", file=sys.stderr)
    ends = end_to_end.measure(*((2, 500) if given.quick else (7, 2000)))
    print("bench: the shipper, CPU a span", file=sys.stderr)
    shipper = shipper_cost.measure(max(2, rounds // 3))
    print("bench: the shipper's memory after an outage", file=sys.stderr)
    drained = shipper_memory.measure(50_000 if given.quick else 1_000_000)
    print("bench: the sink's transaction, with and without the chain", file=sys.stderr)
    sink = [sink_transaction.measure(which, rounds) for which in sink_transaction.servers()]
    print("bench: the queries of the dashboards", file=sys.stderr)
    dashboards = dashboard_queries.measure(5_000) if given.quick else dashboard_queries.measure()
    results: dict[str, Any] = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "agent": agent,
        "end_to_end": end_to_end.as_json(ends),
        "shipper": shipper,
        "shipper_memory": asdict(drained),
        "sink": sink,
        "dashboards": dashboards,
    }
    if given.json:
        print(json.dumps(results))
        return
    print(f"measured {results['date']} on {results['machine']}\n")
    print(agent_cost.report(agent))
    print()
    print(end_to_end.report(ends))
    print()
    print(shipper_cost.report(shipper))
    print()
    print(shipper_memory.report(drained))
    print()
    print(sink_transaction.report(sink))
    print()
    print(dashboard_queries.report(dashboards))


if __name__ == "__main__":
    main()
