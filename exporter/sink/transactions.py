"""Transactions of the sink in its database: a pool of connections, what is tried again, and what an error means."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from celerytrail.exporter.sink.batch import Connection
from celerytrail.exporter.sink.database_faults import Fault, fault_of, translated
from celerytrail.exporter.sink.errors import LedgerRefused, LedgerUnavailable, SinkError
from celerytrail.sql.errors import DatabaseUnreachable, SqlError
from celerytrail.sql.named_queries import queries
from celerytrail.sql.server_pool import server_pool

MAX_ATTEMPTS = 5

T = TypeVar("T")


class NoPartition(Exception):
    """A day of the batch has no partition."""


class AlreadyThere(LedgerRefused):
    """A row is there already: to be refused only when it was looked for."""


class BadRow(Exception):
    """A row of the batch can never be stored; says the class of the error, which holds no user data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Transactions:
    """A pool of connections of the role celerytrail_sink; safe to use from several threads."""

    def __init__(self, dsn: str, *, min_size: int, max_size: int, timeout_seconds: float) -> None:
        """Prepare a pool that connects in the background after ``open``.

        ``timeout_seconds`` bounds each wait: for a connection, for a lock, and twice that for a
        statement and for a network that swallows packets. Raises LedgerUnavailable for a DSN that
        is none.
        """
        self._timeout_seconds = timeout_seconds
        try:
            self.pool = server_pool(
                dsn,
                component="sink",
                min_size=min_size,
                max_size=max_size,
                timeout_seconds=timeout_seconds,
                configure=_configure,
            )
        except DatabaseUnreachable as exc:
            raise LedgerUnavailable(str(exc)) from exc

    def open(self) -> None:
        """Start connecting; returns at once, whether or not the database is there."""
        self.pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        self.pool.close()

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in a transaction, again where that may help, and return its result after COMMIT.

        Raises NoPartition, BadRow, AlreadyThere, LedgerUnavailable, LedgerRefused, TokenRefused, and
        what the work raises of its own.
        """
        deadline = time.monotonic() + self._timeout_seconds
        for attempt in range(1, MAX_ATTEMPTS + 1):
            connection: Connection | None = None
            try:
                with self.pool.connection() as connection:
                    return work(connection)
            except (SinkError, SqlError):
                raise
            except Exception as exc:
                fault = fault_of(exc)
                lost = connection is not None and connection.broken
                again = fault is Fault.AGAIN or (lost and not _timed_out(exc))
                if again and attempt < MAX_ATTEMPTS and time.monotonic() < deadline:
                    time.sleep(random.uniform(0, 0.02 * 2**attempt))
                    continue
                if fault is Fault.PARTITION:
                    raise NoPartition from exc
                if fault is Fault.ROW:
                    raise BadRow(type(exc).__name__) from exc
                if fault is Fault.THERE:
                    raise AlreadyThere(str(translated(exc))) from exc
                raise translated(exc) from exc
        raise LedgerUnavailable("the database kept refusing the transaction")


def _timed_out(exc: Exception) -> bool:
    return isinstance(exc, psycopg.errors.QueryCanceled)


def _configure(connection: psycopg.Connection[Any]) -> None:
    connection.execute(queries("ingest")["create_staging"])
    connection.commit()
