"""What the queries of the dashboards take: each of them, asked as Grafana asks, of many tasks.

``python tests/bench/dashboard_queries.py [--json] [--tasks N]`` writes N tasks of the last 25 hours
through the sink's own code (bursts, few hot and many rare task names, groups of 20, one chord of
100, failures, payloads), and then asks every panel, variable and alert rule as the role
celerytrail_grafana over TCP, with the variables as they are when the dashboard is opened. Times are
milliseconds of the wall clock, the best and the median of the rounds, connecting not included.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import yaml

from celerytrail.dashboards.grafana_sql.macros import expand
from celerytrail.dashboards.grafana_sql.templating import definitions_of
from celerytrail.dashboards.grafana_sql.variables import substitute
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.migrate import migrate
from celerytrail.sql.tokens import create_token, token_hash
from tests.grafana.data_source import all_dashboards, defaults, panels_of
from tests.span_rows import SHOP, Row, payload_row, task_rows

TASKS = 100_000
ROUNDS = 5
GROUP = 20
SHOWN = 15
BATCH = 2_000
_ALERTING = Path(__file__).parents[2] / "provisioning" / "grafana" / "alerting"


@dataclass(frozen=True, slots=True)
class Asked:
    """One query and how long it took, in milliseconds."""

    name: str
    best: float
    median: float
    rows: int


def measure(tasks: int = TASKS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Fill a database, ask everything in turns, and return the times, the slowest first."""
    with tempfile.TemporaryDirectory(prefix="celerytrail-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres(Path(directory) / "postgres") as server:
            dsn = server.create_database("bench")
            migrate(dsn)
            with psycopg.connect(dsn, autocommit=True) as connection:
                token = create_token(
                    connection,
                    name="bench",
                    namespace=SHOP.namespace,
                    service=SHOP.service,
                    environment=SHOP.environment,
                )
            chord = _fill(server.dsn("bench", "celerytrail_sink"), token_hash(token.token), tasks)
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
                spans = _count(connection)
            found = _ask(server.dsn("bench", "celerytrail_grafana"), chord, rounds)
    return {
        "tasks": tasks,
        "spans": spans,
        "rounds": rounds,
        "queries": [asdict(one) for one in sorted(found, key=lambda one: -one.median)],
    }


def report(measured: dict[str, Any]) -> str:
    """Return a table of the slowest queries."""
    queries = measured["queries"]
    slow = [one for one in queries if one["median"] > 300]
    lines = [
        f"dashboards at {measured['tasks']:,} tasks, {measured['spans']:,} spans",
        f"{len(queries)} queries, {len(slow)} with a median over 300 ms; the slowest {SHOWN}:",
        "  best ms  median ms   rows  query",
    ]
    lines += [
        f"{one['best']:9.0f}  {one['median']:9.0f}  {one['rows']:5}  {one['name']}"
        for one in queries[:SHOWN]
    ]
    return "\n".join(lines)


def _fill(dsn: str, token: bytes, tasks: int) -> str:
    """Write the tasks and return the id of a failed chord of 100."""
    chosen = random.Random(1)
    now = datetime.now(timezone.utc)
    chord = str(uuid.UUID(int=chosen.getrandbits(128)))
    ledger = Ledger(dsn, timeout_seconds=60)
    ledger.open()
    spans: list[Row] = []
    payloads: list[Row] = []
    stream, seq = uuid.uuid4(), 1
    group = ""
    try:
        for number in range(tasks):
            task_id = str(uuid.UUID(int=chosen.getrandbits(128)))
            age = 90_000 * chosen.random() ** 1.5 if number >= 100 else 1800.0 + number / 100
            if number < 100:
                group = chord
            elif number % GROUP == 0:
                grouped = chosen.random() < 0.3
                group = str(uuid.UUID(int=chosen.getrandbits(128))) if grouped else ""
            at = now - timedelta(seconds=age + 1)
            failed = chosen.random() < 0.02 or number in (7, 50)
            name = f"shop.task_{min(int(chosen.expovariate(0.2)), 200)}"
            rows = task_rows(
                seq,
                task_id=task_id,
                stream=stream,
                at=at,
                end="failed" if failed else "succeeded",
                task_name=name,
                queue=f"queue {number % 7}",
                trace_id=hashlib.sha256((group or task_id).encode()).digest()[:16],
                group_id=group or None,
                root_group_id=group or None,
            )
            spans += rows
            seq += len(rows)
            seed = hashlib.sha256(f"{task_id}/0".encode()).digest()
            payloads.append(
                payload_row(task_id, "args", b'[%d, "some text"]' % number, at=at, commitment=seed)
            )
            if len(spans) >= BATCH or number == tasks - 1:
                ledger.write_payloads(token, payloads)
                ledger.write_spans(token, spans)
                spans, payloads = [], []
                if sys.stderr.isatty():
                    print(f"\r{number + 1:,} tasks", end="", file=sys.stderr)
    finally:
        ledger.close()
    return chord


def _ask(dsn: str, chord: str, rounds: int) -> list[Asked]:
    until = datetime.now(timezone.utc) + timedelta(seconds=1)
    with psycopg.connect(dsn, autocommit=True) as connection:
        task_id = connection.execute(
            b"SELECT task_id FROM celerytrail_views.tasks WHERE state = 'failed' LIMIT 1"
        ).fetchone()
        assert task_id is not None
        texts = {
            name: expand(
                text, time_from=until - timedelta(hours=24), time_to=until, interval_ms=60_000
            )
            for name, text in _queries(chord, task_id[0])
        }
        times: dict[str, list[float]] = {name: [] for name in texts}
        rows = {}
        with psycopg.ClientCursor(connection) as cursor:
            for _ in range(rounds):
                for name, text in texts.items():
                    begun = time.perf_counter()
                    cursor.execute(text.encode())
                    rows[name] = len(cursor.fetchall())
                    times[name].append((time.perf_counter() - begun) * 1000)
    return [
        Asked(name, min(taken), statistics.median(taken), rows[name])
        for name, taken in times.items()
    ]


def _queries(chord: str, task_id: str) -> Iterator[tuple[str, str]]:
    for uid, opened in all_dashboards().items():
        values = {**defaults(opened), "workflow_id": chord, "task_id": task_id}
        known = definitions_of(opened)
        for panel in panels_of(opened):
            for target in panel.get("targets", []):
                yield (
                    f"{uid.removeprefix('celerytrail-')} / {panel['title']} / {target['refId']}",
                    substitute(target["rawSql"], values, definitions=known),
                )
                if "search" in values and "search" in target["rawSql"]:
                    yield (
                        f"{uid.removeprefix('celerytrail-')} / {panel['title']} / searched",
                        substitute(
                            target["rawSql"], {**values, "search": "some"}, definitions=known
                        ),
                    )
        for variable in opened["templating"]["list"]:
            if variable["type"] == "query":
                query = variable["query"]
                text = query if isinstance(query, str) else query["rawSql"]
                yield f"${variable['name']}", substitute(text, values, definitions=known)
    for path in sorted(_ALERTING.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text()).get("groups", []):
            for rule in group["rules"]:
                for query in rule["data"]:
                    if "rawSql" in query["model"]:
                        yield f"alert / {rule['title']}", query["model"]["rawSql"]


def _count(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = connection.execute(b"SELECT count(*) FROM celerytrail.spans").fetchone()
    return int(row[0]) if row else 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times of the dashboards' queries")
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    measured = measure(given.tasks, given.rounds)
    print(json.dumps(measured) if given.json else report(measured))


if __name__ == "__main__":
    main()
