"""What keeping a ledger of five million events small and clean takes: a day dropped, the user data of 10,000 tasks erased.

``python -m tests.bench.ledger_upkeep [--keep DIR] [--rounds N]`` takes the ledger that ledger_queries keeps in
that directory, or fills one (see filled_ledger.py). Each round drops the oldest day that has events, as
``celerytrail retain`` does, and erases tasks of all days that no round before erased, as ``celerytrail erase``
does: so it can be run again on the same ledger until its days are used up. "Server's CPU" is the CPU time of the
process that answers, for machines that are busy.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from celerytrail.sql.erasure import Actor, Selection, erasable_kinds, erase, eraser
from celerytrail.sql.retention import announce, drop_day, old_days, retainer
from tests.bench.bench_server import described
from tests.bench.budget import Figure, percentile, table
from tests.bench.filled_ledger import TASKS
from tests.bench.kept_ledger import DATABASE, kept_ledger
from tests.bench.process_cpu import cpu_seconds

ROUNDS = 3
ERASED = 10_000
BUDGETS = {"drop": (1.0, 0.5), "erase": (10.0, 5.0)}
_BENCH = Actor("bench", reason="measured")
# Whole pages from anywhere in the table are tasks of all days.
_CHOSEN = """
SELECT t.task_id
FROM celerytrail.tasks t TABLESAMPLE system (%s)
WHERE t.updated_at >= (SELECT h.retained_from FROM celerytrail.horizon h)
  AND NOT EXISTS (SELECT FROM celerytrail.erased_tasks e WHERE e.task_id = t.task_id)
ORDER BY random()
LIMIT %s
"""
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(slots=True)
class Took:
    """Seconds of the wall clock and of the server's CPU, one of each a round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(
    which: str,
    tasks: int = TASKS,
    rounds: int = ROUNDS,
    keep: Path | None = None,
    erased: int = ERASED,
) -> dict[str, Any]:
    """Drop days and erase tasks of such a ledger, and return the figures."""
    with kept_ledger(which, tasks, keep) as (server, filled):
        maintainer = server.dsn(DATABASE, "celerytrail_maintainer")
        dropped, removed = Took(), Took()
        rows = 0
        for _ in range(rounds):
            with retainer(maintainer) as connection:
                oldest = next(day for day in old_days(connection, 1) if day.rows)
                announce(connection, oldest.day, _BENCH)
                done = _timed(connection, dropped, drop_day, oldest.day, without_checkpoint=True)
                assert done is not None, f"somebody reads {oldest.day}"
                rows += done.rows
            ids = _tasks(server.dsn(DATABASE), filled.tasks, erased)
            with eraser(maintainer) as connection:
                selection = Selection(erasable_kinds(connection), ids)
                _timed(connection, removed, erase, selection, _BENCH)
        return {
            "server": described(server, which),
            "tasks": filled.tasks,
            "erased": erased,
            "rows_a_day": rows // rounds,
            "figures": [
                *_figures("a day dropped", dropped, *BUDGETS["drop"]),
                *_figures(f"{erased:,} tasks erased", removed, *BUDGETS["erase"]),
            ],
        }


def report(measured: dict[str, Any]) -> str:
    """Return the table."""
    title = (
        f"upkeep (median and quartiles) at {measured['tasks']:,} tasks, {measured['rows_a_day']:,} events a day, "
        f"{measured['server']}"
    )
    return table(title, measured["figures"])


def _timed(connection: Connection, took: Took, work: Callable[..., Any], *given: Any, **named: Any) -> Any:  # fmt: skip
    worked = cpu_seconds(connection.info.backend_pid)
    begun = time.perf_counter()
    result = work(connection, *given, **named)
    took.wall.append(time.perf_counter() - begun)
    took.cpu.append(cpu_seconds(connection.info.backend_pid) - worked)
    return result


def _tasks(dsn: str, of: int, count: int) -> tuple[str, ...]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        share = min(100.0, 300.0 * count / of)
        found = psycopg.ClientCursor(connection).execute(_CHOSEN.encode(), (share, count))
        ids = tuple(str(task_id) for (task_id,) in found)
    assert len(ids) == count, f"{len(ids)} tasks are left to erase"
    return ids


def _figures(what: str, took: Took, budget: float, aim: float) -> list[Figure]:
    return [
        Figure(
            said, percentile(values, 0.5), "s", budget, aim, at_most=True,
            low=percentile(values, 0.25), high=percentile(values, 0.75),
        )
        for said, values in ((what, took.wall), ("  in server's CPU", took.cpu))
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--erased", type=int, default=ERASED)
    parser.add_argument("--server", default="system")
    parser.add_argument(
        "--keep", type=Path, help="a directory for the filled ledger, asked again later"
    )
    given = parser.parse_args()
    measured = measure(given.server, given.tasks, given.rounds, given.keep, given.erased)
    print(json.dumps(measured, default=asdict) if given.json else report(measured))


if __name__ == "__main__":
    main()
