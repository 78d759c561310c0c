"""What the chain costs the sink: whole transactions with it and without it, in turns.

``python tests/bench/sink_transaction.py [--json] [--rounds N]`` writes the same batches through the
sink's own code into two databases of one server: in one of them the function that seals does
nothing. Dedupe, tasks, runs and streams are the same in both; commits are durable. The two take turns
batch by batch, so a noisy machine hits both alike; the ratio is what to compare.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import tempfile
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.postgres_binaries import find_bin_dir
from celerytrail.exporter.attributes import SPAN_COLUMNS
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.migrate import migrate
from celerytrail.sql.tokens import create_token, token_hash

ROWS = 2048
# The trigger has to stay, or the sink's guards refuse: it only does nothing.
UNCHAINED = """
    CREATE OR REPLACE FUNCTION celerytrail.seal_spans() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'
"""
STEPS = ("sent", "received", "started", "succeeded")
ATTRIBUTES = json.dumps(
    {
        "celery.event": "task-succeeded",
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "celery.exchange": "",
        "celery.routing_key": "orders",
        "celery.origin": "gen4242@web-1",
        "celery.timelimit": "None, None",
        "celery.content_type": "application/json",
        "celery.body_size": 212,
    },
    separators=(",", ":"),
)


def batches(count: int, rows: int) -> list[list[tuple[Any, ...]]]:
    """Make batches of whole tasks, four steps each, from one stream."""
    stream, seq = uuid.uuid4(), 0
    now = datetime.now(timezone.utc)
    made = []
    for _ in range(count):
        batch = []
        for _ in range(rows // len(STEPS)):
            task_id, send, run = str(uuid.uuid4()), secrets.token_bytes(8), secrets.token_bytes(8)
            trace = secrets.token_bytes(16)
            for place, step in enumerate(STEPS):
                seq += 1
                batch.append(_row(stream, seq, step, now + timedelta(microseconds=50 * seq + place),
                                  task_id, trace, send, run))  # fmt: skip
        made.append(batch)
    return made


def _row(
    stream: uuid.UUID, seq: int, step: str, when: datetime, task_id: str, trace: bytes,
    send: bytes, run: bytes,
) -> tuple[Any, ...]:  # fmt: skip
    milliseconds = int(when.timestamp() * 1000)
    nanoseconds = int(when.timestamp() * 1_000_000) * 1000
    ran = step in ("started", "succeeded")
    values: dict[str, Any] = {
        "event_id": uuid.UUID(bytes=milliseconds.to_bytes(6, "big") + secrets.token_bytes(10)),
        "event_time": when,
        "day": when.date(),
        "namespace": "bench",
        "service": "orders",
        "environment": "",
        "stream_id": stream,
        "seq": seq,
        "step": step,
        "inferred": False,
        "trace_id": trace,
        "span_id": send if step == "sent" else secrets.token_bytes(8),
        "parent_span_id": None if step == "sent" else send,
        "span_name": f"{step} shop.reserve_stock",
        "span_kind": 4,
        "status_code": 0,
        "start_unix_nano": nanoseconds,
        "end_unix_nano": nanoseconds,
        "process_kind": "child",
        "worker": "celery@worker-1",
        "host": "worker-1",
        "pid": 4242,
        "task_id": task_id,
        "task_name": "shop.reserve_stock",
        "retries": 0,
        "queue": "orders",
        "root_id": task_id,
        "send_id": send,
        "sent_unix_nano": nanoseconds,
        "run_id": run if ran else None,
        "queue_wait_us": 1500 if ran else None,
        "runtime_us": 2500 if step == "succeeded" else None,
        "commitments": json.dumps({"args": secrets.token_hex(32), "kwargs": secrets.token_hex(32)}),
        "attributes": ATTRIBUTES,
    }
    return tuple(values.get(column.name) for column in SPAN_COLUMNS)


def measure(which: str, rounds: int) -> dict[str, Any]:
    """Write ``rounds`` batches each way on one server and return rows a second and their ratio."""
    with (
        tempfile.TemporaryDirectory(prefix="celerytrail-bench-") as directory,
        _passable(directory),
        EmbeddedPostgres(
            Path(directory) / "postgres", bin_dir=which, settings={"shared_buffers": "512MB"}
        ) as server,
    ):
        ways = {
            name: _ledger(server, name, chained=name == "chained") for name in ("chained", "plain")
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        try:
            for number, rows in enumerate(batches(rounds + 3, ROWS)):
                for name, (ledger, token) in ways.items():
                    begun = time.perf_counter()
                    written = ledger.write_spans(token, rows)
                    took = time.perf_counter() - begun
                    assert written.inserted == len(rows)
                    if number >= 3:  # the first ones fill caches and plan statements
                        seconds[name].append(took)
        finally:
            for ledger, _ in ways.values():
                ledger.close()
        with psycopg.connect(server.dsn()) as connection:
            version = connection.info.server_version // 10000
        ratios = [
            plain / chained
            for chained, plain in zip(seconds["chained"], seconds["plain"], strict=True)
        ]
        return {
            "server": f"PostgreSQL {version} ({which})",
            "rows_a_second": {
                name: round(ROWS / statistics.median(times)) for name, times in seconds.items()
            },
            "ratio": round(statistics.median(ratios), 3),
            "ratio_quartiles": [round(edge, 3) for edge in statistics.quantiles(ratios, n=4)[::2]],
        }


class _passable:
    """Let the server's unprivileged user pass through the directory."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def __enter__(self) -> None:
        self._directory.chmod(0o711)

    def __exit__(self, *_: object) -> None:
        """Nothing to undo: the directory goes away."""


def _ledger(server: EmbeddedPostgres, name: str, *, chained: bool) -> tuple[Ledger, bytes]:
    server.create_database(name)
    migrate(server.dsn(name))
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        made = create_token(connection, name="bench", namespace="bench", service="orders")
        if not chained:
            connection.execute(UNCHAINED)
    ledger = Ledger(server.dsn(name, "celerytrail_sink"))
    ledger.open()
    return ledger, token_hash(made.token)


def report(results: list[dict[str, Any]]) -> str:
    """Return the figures of each server, and the ratio between the two ways."""
    lines = [f"whole sink transaction, {ROWS} rows a batch, one writer, durable commits"]
    for result in results:
        low, high = result["ratio_quartiles"]
        lines.append(f"  {result['server']}")
        lines += [
            f"    {name:8} {rows:>8,} rows/s" for name, rows in result["rows_a_second"].items()
        ]
        lines.append(
            f"    chained / plain {result['ratio']:.2f} (quartiles {low:.2f} to {high:.2f})"
        )
    return "\n".join(lines)


def servers() -> list[str]:
    """Name the servers to measure on: the system's, and the wheel's."""
    # The wheel's server is built without OpenSSL, so its sha256 is several times slower.
    found = []
    for which in ("system", "wheel"):
        try:
            find_bin_dir(which)
        except EmbeddedServerError:
            continue
        found.append(which)
    return found


def main() -> None:
    """Measure on each server and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    results = [measure(which, given.rounds) for which in servers()]
    print(json.dumps(results) if given.json else report(results))


if __name__ == "__main__":
    main()
