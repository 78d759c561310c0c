"""The connections of the action API to the ledger's database: bounded waits, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from celerytrail.action_api.errors import ActionApiError, ConfigError, Unavailable
from celerytrail.sql.errors import DatabaseUnreachable
from celerytrail.sql.named_queries import queries
from celerytrail.sql.server_pool import Connection, server_pool

Row = DictRow
T = TypeVar("T")

MAX_ATTEMPTS = 3
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)


class LedgerRefused(ActionApiError):
    """The database is not as designed, or refused a row: nothing was written, and nothing done."""

    status = 500
    code = "ledger_refused"


class LedgerPool:
    """A pool of connections of the role celerytrail_actions; safe to use from several threads.

    The methods that ask take the name of a statement of ``sql/queries/actions.sql`` and its parameters. Each raises
    Unavailable when the database does not answer in time, and LedgerRefused when it does and will not
    have what was asked.
    """

    def __init__(
        self, dsn: str, *, min_size: int = 1, max_size: int = 8, timeout_seconds: float = 5.0
    ) -> None:
        """Prepare a pool that connects in the background after ``open``.

        ``timeout_seconds`` bounds each wait: for a connection, for a lock, and twice that for a
        statement. Raises ConfigError for a DSN that is none.
        """
        try:
            self._pool = server_pool(
                dsn,
                component="action-api",
                min_size=min_size,
                max_size=max_size,
                timeout_seconds=timeout_seconds,
            )
        except DatabaseUnreachable as exc:
            raise ConfigError(str(exc)) from exc
        self._queries = queries("actions")

    def open(self) -> None:
        """Start connecting; returns at once, whether or not the database is there."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def value(self, name: str, values: Mapping[str, Any]) -> Any:
        """Return the one value of the one row of a statement."""
        return next(iter(self.one(name, values).values()))

    def one(self, name: str, values: Mapping[str, Any]) -> Row:
        """Return the one row of a statement."""
        row = self.row(name, values)
        if row is None:
            raise LedgerRefused(f"the database gave no answer to {name}: run `celerytrail migrate`")
        return row

    def row(self, name: str, values: Mapping[str, Any]) -> Row | None:
        """Return the first row of a statement, None where there is none."""

        def fetch(connection: Connection) -> Row | None:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(self._queries[name], values).fetchone()

        return self.transaction(fetch)

    def rows(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        """Return the rows of a statement."""

        def fetch(connection: Connection) -> list[Row]:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(self._queries[name], values).fetchall()

        return self.transaction(fetch)

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` does in a transaction of its own, tried again where others were in its way."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                with self._pool.connection() as connection:
                    return work(connection)
            except _AGAIN as exc:
                if attempt == MAX_ATTEMPTS:
                    raise Unavailable("the database is busy: ask again") from exc
            except (PoolTimeout, PoolClosed, TooManyRequests) as exc:
                raise Unavailable(f"no connection to the database: {exc}") from exc
            except (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.DataError) as exc:
                raise LedgerRefused(
                    f"the ledger refused it: {_said(exc)}. Run `celerytrail migrate --check`."
                ) from exc
            except psycopg.Error as exc:
                if exc.sqlstate is not None and exc.sqlstate.startswith("CT"):
                    raise LedgerRefused(f"the ledger refused it: {_said(exc)}") from exc
                raise Unavailable(f"the database cannot be used now: {_said(exc)}") from exc
        raise AssertionError("unreachable")


def _said(exc: psycopg.Error) -> str:
    # Not the detail: it quotes values of the row.
    return (exc.diag.message_primary or str(exc)).strip().split("\n")[0]
