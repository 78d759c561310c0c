"""A ledger filled with tasks as real ones are: few hot names and many rare, bursts, retries, chords, few causes.

``fill(sink_dsn, token, tasks)`` writes about four events a task of the last 30 days through the sink's own
code, in order of time. The same ``tasks`` and ``seed`` give the same tasks, relative to the moment it begins.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SPAN_COLUMNS
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.event_id import StreamHash
from celerytrail.exporter.sink.ledger import Ledger
from tests.span_rows import SHOP, Row, nanoseconds

TASKS = 1_250_000
DAYS = 30
BATCH = 10_000
NAMES = 400
QUEUES = ("orders", "mail", "reports", "images", "imports", "webhooks", "default", "rare")
WORKERS = 24
STREAMS = 12
FAILURES = (
    ("requests.exceptions.ConnectionError", "connection to payments.example refused"),
    ("builtins.KeyError", "'customer_id'"),
    ("sqlalchemy.exc.OperationalError", "deadlock detected"),
    ("builtins.ValueError", "amount must be positive"),
    ("celery.exceptions.SoftTimeLimitExceeded", "SoftTimeLimitExceeded()"),
)
_ATTRIBUTES = json.dumps({"messaging.system": "celery", "celery.exchange": "", "celery.routing_key": "orders",
                          "celery.origin": "gen4242@web-1", "celery.body_size": 212}, separators=(",", ":"))  # fmt: skip
_NAMES = [column.name for column in SPAN_COLUMNS]


@dataclass(slots=True)
class Filled:
    """What was written, and ids to ask for."""

    tasks: int = 0
    spans: int = 0
    payloads: int = 0
    seconds: float = 0.0
    chords: list[str] = field(default_factory=list)
    task_ids: list[str] = field(default_factory=list)
    failed_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a task stands among others."""

    root: str
    parent: str | None = None
    group: str | None = None
    chord_body: str | None = None
    role: str = "single"


def fill(
    dsn: str,
    token: bytes,
    tasks: int = TASKS,
    *,
    seed: int = 1,
    days: float = DAYS,
    deployment: Deployment = SHOP,
) -> Filled:
    """Write the tasks as the role of ``dsn``, celerytrail_sink, and say what was written.

    Progress goes to stderr. Raises SinkError when the database does not take them.
    """
    begun = time.monotonic()
    filled = Filled()
    ledger = Ledger(dsn, timeout_seconds=120)
    ledger.open()
    writer = _Writer(ledger, token)
    try:
        for spans, payloads in _Made(filled, tasks, seed, days, deployment).records():
            writer.add(spans, payloads)
            filled.spans += len(spans)
            filled.payloads += len(payloads)
            if filled.spans % 50_000 < len(spans):
                rate = filled.spans / (time.monotonic() - begun)
                print(f"{filled.tasks:,} of {tasks:,} tasks, {rate:,.0f} spans/s", file=sys.stderr)
        writer.finish()
    finally:
        ledger.close()
    filled.seconds = time.monotonic() - begun
    return filled


class _Writer:
    """Writes one batch while the next one is made."""

    def __init__(self, ledger: Ledger, token: bytes) -> None:
        self._ledger = ledger
        self._token = token
        self._spans: list[Row] = []
        self._payloads: list[Row] = []
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def add(self, spans: list[Row], payloads: list[Row]) -> None:
        self._spans += spans
        self._payloads += payloads
        if len(self._spans) >= BATCH - 200:
            self._send()

    def finish(self) -> None:
        self._send()
        if self._pending is not None:
            self._pending.result()
        self._pool.shutdown()

    def _send(self) -> None:
        if self._pending is not None:
            self._pending.result()
        self._pending = self._pool.submit(self._write, self._spans, self._payloads)
        self._spans, self._payloads = [], []

    def _write(self, spans: list[Row], payloads: list[Row]) -> None:
        self._ledger.write_payloads(self._token, payloads)
        self._ledger.write_spans(self._token, spans)


class _Made:
    """Makes the records of one task after the other, in order of time."""

    def __init__(
        self, filled: Filled, tasks: int, seed: int, days: float, deployment: Deployment
    ) -> None:
        self._filled = filled
        self._tasks = tasks
        self._chosen = random.Random(seed)
        self._span = timedelta(days=days) - timedelta(minutes=10)
        self._end = datetime.now(timezone.utc) - timedelta(minutes=1)
        self._deployment = deployment
        self._streams = [uuid.UUID(int=self._chosen.getrandbits(128)) for _ in range(STREAMS)]
        self._hashes = [StreamHash(deployment.label, stream) for stream in self._streams]
        self._seqs = [0] * STREAMS
        weights = [1 / (rank + 1) ** 1.2 for rank in range(NAMES)]
        self._names = self._chosen.choices(range(NAMES), weights, k=65_536)
        self._template: dict[str, Any] = {
            "namespace": deployment.namespace, "service": deployment.service,
            "environment": deployment.environment, "inferred": False, "span_kind": 4, "status_code": 0,
            "process_kind": "child", "pid": 4242, "attributes": _ATTRIBUTES,
        }  # fmt: skip

    def records(self) -> Iterator[tuple[list[Row], list[Row]]]:
        while self._filled.tasks < self._tasks:
            at = self._when(self._filled.tasks / self._tasks)
            kind = self._chosen.random()
            if kind < 0.008:
                yield self._chord(at)
            elif kind < 0.05:
                yield self._chain(at)
            else:
                yield self._single(at)

    def _when(self, share: float) -> datetime:
        # Nights are quiet, and each hundredth of the whole begins with a burst.
        share += 0.004 * math.sin(share * DAYS * 2 * math.pi) / (2 * math.pi)
        place = math.floor(share * 300) / 300 + (share * 300 % 1) ** 2 / 300
        return self._end - self._span * min(max(1 - place, 0.0), 1.0)

    def _id(self) -> str:
        return str(uuid.UUID(int=self._chosen.getrandbits(128), version=4))

    def _single(self, at: datetime) -> tuple[list[Row], list[Row]]:
        task_id = self._id()
        return self._task(task_id, at, _Shape(task_id))

    def _chain(self, at: datetime) -> tuple[list[Row], list[Row]]:
        root = self._id()
        spans, payloads = self._task(root, at, _Shape(root))
        parent = root
        for number in range(self._chosen.randint(1, 4)):
            child = self._id()
            more = self._task(child, at + timedelta(seconds=number + 1), _Shape(root, parent))
            spans += more[0]
            payloads += more[1]
            parent = child
        return spans, payloads

    def _chord(self, at: datetime) -> tuple[list[Row], list[Row]]:
        group, body = self._id(), self._id()
        size = min(4 + int(self._chosen.paretovariate(1.2) * 4), 100)
        if not self._filled.chords or self._chosen.random() < 0.1:  # of all days
            self._filled.chords.append(group)
        spans: list[Row] = []
        payloads: list[Row] = []
        trace = hashlib.sha256(group.encode()).digest()[:16]
        attributes = json.dumps({"celery.group.kind": "chord", "celery.group.size": size})
        root = self._id()
        spans.append(self._row(0, "group", at, trace_id=trace, span_id=trace[:8], span_name="group", group_id=group,
                               root_group_id=group, root_id=root, chord_body_id=body, attributes=attributes))  # fmt: skip
        for number in range(size):
            task_id = root if number == 0 else self._id()
            shape = _Shape(root, None, group, body, "header")
            more = self._task(task_id, at + timedelta(milliseconds=10 * number), shape)
            spans += more[0]
            payloads += more[1]
        more = self._task(body, at + timedelta(seconds=5), _Shape(root, root, None, None, group))
        return spans + more[0], payloads + more[1]

    def _task(self, task_id: str, at: datetime, shape: _Shape) -> tuple[list[Row], list[Row]]:
        choose = self._chosen.random
        filled = self._filled
        filled.tasks += 1
        rank = self._names[filled.tasks % 65_536]
        name = f"shop.{'hot' if rank < 5 else 'rare' if rank > 200 else 'task'}_{rank}"
        seed = hashlib.sha256(task_id.encode()).digest()
        in_group = shape.group or (shape.role if shape.role not in ("single", "header") else None)
        trace = hashlib.sha256((in_group or shape.root).encode()).digest()[:16]
        # Failures come in waves, of few causes.
        bad = 0.10 if filled.tasks // 2000 % 40 == 0 else 0.012
        outcome = choose()
        attempts = 1 if outcome > 0.03 else 2 if outcome > 0.005 else 4
        failed = choose() < bad
        cause = FAILURES[min(int(choose() ** 2 * len(FAILURES)), len(FAILURES) - 1)]
        wait, run = int(choose() ** -1.1 * 2000), int(math.exp(choose() * 7) * 1000)
        common: dict[str, Any] = {
            "trace_id": trace, "task_id": task_id, "task_name": name, "queue": QUEUES[int((rank * 7 % 97) ** 0.44)],
            "root_id": shape.root, "parent_id": shape.parent, "group_id": shape.group,
            "root_group_id": in_group, "chord_body_id": shape.chord_body,
            "worker": f"celery@worker-{int(choose() ** 2 * WORKERS)}", "host": f"host-{rank % 6}",
        }  # fmt: skip
        spans: list[Row] = []
        args = f'["ORD-{filled.tasks}", {{"customer": "c{rank * 31 % 9973}@example.org", "note": "{seed.hex()[:16]}"}}]'.encode()
        argument = self._payload(task_id, "args", args, at)
        payloads = [argument] if rank % 8 != 3 else []
        which = int(choose() * STREAMS)
        for attempt in range(attempts):
            last = attempt == attempts - 1
            end = "retried" if not last else "failed" if failed else "succeeded"
            send, run_id = (hashlib.sha256(seed + bytes([attempt, n])).digest()[:8] for n in (1, 2))
            sent = at + timedelta(seconds=30 * attempt)
            started = sent + timedelta(microseconds=wait)
            ended = started + timedelta(microseconds=run)
            common |= {"retries": attempt, "send_id": send, "sent_unix_nano": nanoseconds(sent)}
            # The span of a run is its own from its beginning to its end, the wait before it another.
            ends: dict[str, Any] = {"run_id": run_id, "runtime_us": run, "span_id": run_id,
                                    "start_unix_nano": nanoseconds(started)}  # fmt: skip
            if end != "succeeded":
                row = self._payload(
                    task_id, "exception", json.dumps(f"{cause[0]}: {cause[1]}").encode(), ended
                )
                payloads.append(row)
                ends |= {"exception_class": cause[0], "status_code": 2,
                         "commitments": json.dumps({"exception": _commitment(row).hex()})}  # fmt: skip
            spans += [
                self._row(which, "sent", sent, span_id=send, span_name=f"sent {name}", **common,
                          commitments=json.dumps({"args": _commitment(argument).hex()}) if rank % 8 != 3 else None),
                self._row(which, "received", sent + timedelta(microseconds=wait // 2), parent_span_id=send,
                          span_name=f"received {name}", **common),
                self._row(which, "started", started, parent_span_id=send, span_name=f"started {name}",
                          run_id=run_id, queue_wait_us=wait, start_unix_nano=nanoseconds(sent), **common),
                self._row(which, end, ended, parent_span_id=send, span_name=f"run {name}", **{**common, **ends}),
            ]  # fmt: skip
        if filled.tasks % 997 == 0:
            filled.task_ids.append(task_id)
        if failed and len(filled.failed_ids) < 2000:
            filled.failed_ids.append(task_id)
        return spans, payloads

    def _row(self, which: int, step: str, at: datetime, **columns: Any) -> Row:
        self._seqs[which] += 1
        seq = self._seqs[which]
        unix_nano = nanoseconds(at)
        event_id = self._hashes[which].event_id(unix_nano, seq)
        values = self._template | {
            "event_id": event_id, "event_time": at, "day": at.date(), "stream_id": self._streams[which],
            "seq": seq, "step": step, "start_unix_nano": unix_nano, "end_unix_nano": unix_nano,
            "span_id": event_id.bytes[8:],
        }  # fmt: skip
        values.update(columns)
        return tuple(map(values.get, _NAMES))

    def _payload(self, task_id: str, kind: str, body: bytes, at: datetime) -> Row:
        salt = hashlib.sha256(f"{task_id}/{kind}/{at.isoformat()}".encode()).digest()
        values = {
            "event_time": at, "day": at.date(), "namespace": self._deployment.namespace,
            "service": self._deployment.service, "environment": self._deployment.environment,
            "task_id": task_id, "retries": 0, "stream_id": self._streams[0], "seq": 1, "kind": kind,
            "commitment": hashlib.sha256(salt + body).digest(), "salt": salt, "truncated": False, "body": body,
        }  # fmt: skip
        return tuple(values[column.name] for column in PAYLOAD_COLUMNS)


_COMMITMENT = [column.name for column in PAYLOAD_COLUMNS].index("commitment")


def _commitment(row: Row) -> bytes:
    found = row[_COMMITMENT]
    assert isinstance(found, bytes)
    return found
