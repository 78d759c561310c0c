"""What the ledger says about one run of the demo, read as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TypeVar

import psycopg
from psycopg.rows import class_row

from celerytrail.examples.shop.app import NEWSLETTER
from celerytrail.exporter.deployment import Deployment
from celerytrail.sql.named_queries import queries

_ROWS = 5
_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of one run; ``blocks`` and ``head`` are those of the whole ledger."""

    tasks: int
    spans: int
    missing: int
    unterminated: int
    blocks: int
    head: int


@dataclass(frozen=True, slots=True)
class TaskState:
    """How many tasks of a name are in a state."""

    task_name: str | None
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class Stored:
    """How many of the tasks asked for are stored, and how many of all are not done."""

    stored: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class Slow:
    """One of the slowest tasks; times in microseconds."""

    task_name: str
    task_id: str
    runtime_us: int
    queue_wait_us: int | None
    worker: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed task, and the task that its workflow began with. ``exception`` is JSON text."""

    task_id: str
    task_name: str
    exception_class: str | None
    exception: str | None
    root_id: str | None
    root_name: str | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the chain was verified; ``broken`` counts the times it was found broken in this run."""

    status: str | None
    verified_to: int | None
    broken: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    """One picture of one run."""

    counts: Counts
    states: Sequence[TaskState]
    slowest: Sequence[Slow]
    failures: Sequence[Failure]
    verified: Verified


class Observer:
    """Reads the views of the ledger for one deployment over a connection in autocommit."""

    def __init__(self, connection: psycopg.Connection, deployment: Deployment) -> None:
        self._connection = connection
        self._parameters: dict[str, object] = {
            "namespace": deployment.namespace,
            "service": deployment.service,
            "environment": deployment.environment,
            "rows": _ROWS,
            "unconsumed": NEWSLETTER,
        }
        self._since = self._verified_since(_LONG_AGO).now

    def look(self) -> Observation:
        """Return what the ledger says now."""
        return Observation(
            counts=self.counts(),
            states=self._rows("states", TaskState),
            slowest=self._rows("slowest", Slow),
            failures=self._rows("failures", Failure),
            verified=self.verified(),
        )

    def counts(self) -> Counts:
        """Return the numbers alone."""
        (counts,) = self._rows("counts", Counts)
        return counts

    def verified(self) -> Verified:
        """Return how far the chain was verified since this observer was made."""
        return self._verified_since(self._since)

    def stored(self, ids: set[str]) -> Stored:
        """Return how many of ``ids`` are stored, and how many tasks at all are unfinished."""
        (stored,) = self._rows("stored", Stored, ids=list(ids))
        return stored

    def _verified_since(self, since: datetime) -> Verified:
        (verified,) = self._rows("verifications", Verified, since=since)
        return verified

    def _rows(self, name: str, kind: type[Row], **more: object) -> list[Row]:
        with self._connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(queries("demo")[name], {**self._parameters, **more}).fetchall()
