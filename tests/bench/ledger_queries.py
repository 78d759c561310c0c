"""What people wait for at five million events: list, history, tree, search, failures, percentiles.

``python -m tests.bench.ledger_queries [--keep DIR] [--tasks N] [--rounds N]`` fills a ledger with 1.25 million
tasks of 30 days (see filled_ledger.py), or takes the one kept in that directory, and asks, as the role
celerytrail_grafana over TCP, the panels of the dashboards for the last hour, day and week, each time for
another task, chord, queue or text. Percentiles are over all asked; connecting is not included. The first of a
connection plans what a connection keeps, and reads the catalog: Grafana keeps its connections. "Server's CPU"
is the CPU time of the process that answers, for machines that are busy.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from celerytrail.dashboards.grafana_sql.macros import expand
from celerytrail.dashboards.grafana_sql.templating import definitions_of
from celerytrail.dashboards.grafana_sql.variables import substitute
from tests.bench.bench_server import described
from tests.bench.budget import Figure, percentile, table
from tests.bench.filled_ledger import QUEUES, TASKS, WORKERS, Filled
from tests.bench.kept_ledger import kept_ledger
from tests.bench.process_cpu import cpu_seconds
from tests.grafana.data_source import dashboard, defaults, panel
from tests.span_rows import SHOP

ROUNDS = 30
FIRSTS = 7
RANGES = {"1 h": timedelta(hours=1), "24 h": timedelta(hours=24), "7 d": timedelta(days=7)}
_PERCENTILES = """
SELECT date_trunc('minute', t.finished_at) AS "time", t.task_name,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY t.runtime_us) AS p95
FROM celerytrail_views.tasks t
WHERE $__timeFilter(t.finished_at)
GROUP BY 1, 2
ORDER BY 1, 2
"""
_FAILURES_BY_ROOT = """
SELECT t.root_id, count(*) AS failed, max(t.finished_at) AS last_failed
FROM celerytrail_views.tasks t
WHERE t.state = 'failed' AND $__timeFilter(t.finished_at)
GROUP BY t.root_id
ORDER BY last_failed DESC
LIMIT 500
"""
Pick = Callable[[random.Random, Filled], Mapping[str, str | list[str]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: a panel or a text, what varies, and its bounds in milliseconds, where it has some."""

    what: str
    source: tuple[str, str] | str
    pick: Pick
    ranges: tuple[str, ...] = ("1 h", "24 h", "7 d")
    budgets: tuple[tuple[str, float, float], ...] = ()


def _nothing(_: random.Random, __: Filled) -> Mapping[str, str | list[str]]:
    return {}


_ALL_10 = tuple((name, 10.0, 5.0) for name in RANGES)
_LIST = ("tasks", "Newest tasks")
ASKED = (
    Asked("list", _LIST, _nothing, budgets=_ALL_10),
    Asked("list of a task", _LIST, lambda r, _: {"task": f"shop.rare_{r.randrange(201, 400)}"}, budgets=_ALL_10),
    Asked("list of a hot task", _LIST, lambda r, _: {"task": f"shop.hot_{r.randrange(5)}"}, budgets=_ALL_10),
    Asked("list of a queue", _LIST, lambda r, _: {"queue": r.choice(QUEUES)}, budgets=_ALL_10),
    Asked("list of a worker", _LIST, lambda r, _: {"worker": f"celery@worker-{r.randrange(WORKERS)}"}, budgets=_ALL_10),
    Asked("list of a state", _LIST, lambda r, _: {"state": r.choice(("failed", "succeeded", "lost"))}, budgets=_ALL_10),
    Asked("list of a deployment", _LIST, lambda r, _: {"service": r.choice((SHOP.service, "other"))}, budgets=_ALL_10),
    Asked("list, two filters", _LIST, lambda r, _: {"queue": r.choice(QUEUES), "state": "failed"}, budgets=_ALL_10),
    Asked("search, a rare text", _LIST, lambda r, f: {"search": f"ord-{r.randrange(f.tasks)}"}),
    Asked("search, a text of all", _LIST, lambda _, __: {"search": "@example.org"}),
    Asked("search, a text of an exception", _LIST, lambda _, __: {"search": "customer_id"}),
    Asked("history of a task, runs", ("task", "Runs"), lambda r, f: {"task_id": r.choice(f.task_ids)}, ("7 d",), _ALL_10),
    Asked("history of a task, timeline", ("task", "Waits and runs"), lambda r, f: {"task_id": r.choice(f.task_ids)}, ("7 d",), _ALL_10),
    Asked("history of a task, waterfall", ("task", "Waterfall"), lambda r, f: {"task_id": r.choice(f.task_ids)}, ("7 d",), _ALL_10),
    Asked("one task, what it is", ("task", "What it is"), lambda r, f: {"task_id": r.choice(f.task_ids)}, ("7 d",), _ALL_10),
    Asked("tree, members", ("workflow", "Members"), lambda r, f: {"workflow_id": r.choice(f.chords)}, ("7 d",), _ALL_10),
    Asked("tree, waterfall", ("workflow", "Waterfall"), lambda r, f: {"workflow_id": r.choice(f.chords)}, ("7 d",), _ALL_10),
    Asked("tree, state of the whole", ("workflow", "What it is"), lambda r, f: {"workflow_id": r.choice(f.chords)}, ("7 d",), _ALL_10),
    Asked("percentiles by task and minute", _PERCENTILES, _nothing, budgets=(("1 h", 50, 25),)),
    Asked("failures by root", _FAILURES_BY_ROOT, _nothing, budgets=(("24 h", 20, 10),)),
)  # fmt: skip


def measure(
    which: str, tasks: int = TASKS, rounds: int = ROUNDS, keep: Path | None = None
) -> dict[str, Any]:
    """Fill a ledger on such a server, or take the one kept, ask everything, and return the figures."""
    with kept_ledger(which, tasks, keep) as (server, filled):
        figures = ask(server.dsn("filled", "celerytrail_grafana"), filled, rounds)
        return {
            "server": described(server, which),
            "tasks": filled.tasks,
            "spans": filled.spans,
            "seconds": round(filled.seconds),
            "figures": figures,
        }


def ask(dsn: str, filled: Filled, rounds: int) -> list[Figure]:
    """Ask everything of a filled ledger as the role of ``dsn``, celerytrail_grafana."""
    chosen = random.Random(7)
    figures: list[Figure] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        newest = connection.execute(
            b"SELECT updated_at FROM celerytrail_views.tasks ORDER BY updated_at DESC NULLS LAST LIMIT 1"
        ).fetchone()
        assert newest is not None
        for one in ASKED:
            for name in one.ranges:
                first = min(rounds, FIRSTS)
                texts = _texts(one, chosen, filled, newest[0], RANGES[name], rounds + 1 + first)
                # The first prepares what the connection keeps; what that costs is told apart.
                took = [_asked(connection, text) for text in islice(texts, rounds + 1)][1:]
                new = [_first(dsn, text) for text in texts]
                figures += _figures(one, name, took, new)
    return figures


def _asked(connection: psycopg.Connection[Any], text: str) -> tuple[float, float]:
    pid = connection.info.backend_pid
    with psycopg.ClientCursor(connection) as cursor:
        worked = cpu_seconds(pid)
        begun = time.perf_counter()
        cursor.execute(text.encode())
        cursor.fetchall()
        return 1000 * (time.perf_counter() - begun), 1000 * (cpu_seconds(pid) - worked)


def _first(dsn: str, text: str) -> tuple[float, float]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return _asked(connection, text)


def report(measured: dict[str, Any]) -> str:
    """Return the table."""
    title = (
        f"p95 (and quartiles) at {measured['tasks']:,} tasks and {measured['spans']:,} spans of 30 days, "
        f"{measured['server']}, filled in {measured['seconds']:,} s"
    )
    return table(title, measured["figures"])


def _figures(
    one: Asked, name: str, took: list[tuple[float, float]], new: list[tuple[float, float]]
) -> Iterator[Figure]:
    budget, aim = next(((b, a) for n, b, a in one.budgets if n == name), (None, None))
    what = f"{one.what}, {name}" if len(one.ranges) > 1 else one.what
    wall, cpu = zip(*took, strict=True)
    for said, values in ((what, wall), ("  in server's CPU", cpu)):
        low, high = percentile(values, 0.25), percentile(values, 0.75)
        yield Figure(said, percentile(values, 0.95), "ms", budget, aim, at_most=True, low=low, high=high)  # fmt: skip
    cpu = [spent for _, spent in new]
    low, high = percentile(cpu, 0.25), percentile(cpu, 0.75)
    yield Figure("  the first of a connection, in CPU", percentile(cpu, 0.95), "ms", low=low, high=high)  # fmt: skip


def _texts(
    one: Asked,
    chosen: random.Random,
    filled: Filled,
    newest: datetime,
    length: timedelta,
    count: int,
) -> Iterator[str]:
    for _ in range(count):
        values = one.pick(chosen, filled)
        # Each asks for another second, so that nothing is answered from the question before.
        until = newest + timedelta(seconds=1) - timedelta(seconds=chosen.randrange(600))
        text = one.source if isinstance(one.source, str) else _panel_text(one.source, values)
        yield expand(text, time_from=until - length, time_to=until, interval_ms=60_000)


def _panel_text(source: tuple[str, str], values: Mapping[str, str | list[str]]) -> str:
    uid, title = source
    opened = dashboard(f"celerytrail-{uid}")
    text = panel(opened, title)["targets"][0]["rawSql"]
    return substitute(text, {**defaults(opened), **values}, definitions=definitions_of(opened))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--server", default="system")
    parser.add_argument(
        "--keep", type=Path, help="a directory for the filled ledger, asked again later"
    )
    given = parser.parse_args()
    measured = measure(given.server, given.tasks, given.rounds, given.keep)
    print(json.dumps(measured, default=asdict) if given.json else report(measured))


if __name__ == "__main__":
    main()
