"""``python -m tests.bench``: one table of ratios, each measured interleaved in one run.

Absolute figures are those of the machine it runs on; the ratios are what to compare and to quote.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from typing import Any

from tests.bench import agent_cost, dashboard_queries, sink_transaction


def main() -> None:
    """Run every benchmark and print the table, or one JSON object with ``--json``."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of each benchmark")
    given = parser.parse_args()

    print("bench: the agent, in the thread that publishes and runs tasks", file=sys.stderr)
    agent = agent_cost.measure(rounds=given.rounds)
    print("bench: the sink's transaction, with and without the chain", file=sys.stderr)
    sink = [sink_transaction.measure(which, given.rounds) for which in sink_transaction.servers()]
    print("bench: the queries of the dashboards", file=sys.stderr)
    dashboards = dashboard_queries.measure()
    results: dict[str, Any] = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "agent": agent,
        "sink": sink,
        "dashboards": dashboards,
    }
    if given.json:
        print(json.dumps(results))
        return
    print(f"measured {results['date']} on {results['machine']}\n")
    print(agent_cost.report(agent))
    print()
    print(sink_transaction.report(sink))
    print()
    print(dashboard_queries.report(dashboards))


if __name__ == "__main__":
    main()
