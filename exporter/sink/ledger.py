"""The sink's side of the ledger: batches in, one durable transaction each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Protocol

import psycopg

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SPAN_COLUMNS, Column
from celerytrail.exporter.sink.batch import (
    Connection,
    Row,
    days_of,
    in_one_go,
    the_row,
    write_payload_batch,
    write_span_batch,
)
from celerytrail.exporter.sink.errors import LedgerRefused, LedgerUnavailable, SinkError
from celerytrail.exporter.sink.shared_chains import SharedChains
from celerytrail.exporter.sink.transactions import (
    AlreadyThere,
    BadRow,
    NoPartition,
    Transactions,
)
from celerytrail.exporter.sink.written import Principal, Written
from celerytrail.sql.errors import SqlError
from celerytrail.sql.migrate import require_schema, require_suitable_server
from celerytrail.sql.named_queries import queries

__all__ = ["Ledger", "Principal", "Written"]

MAX_BATCH_ROWS = 10_000
MAX_ITEMS = 1_000


class _WriteBatch(Protocol):
    def __call__(
        self,
        connection: Connection,
        principal: Principal,
        rows: Sequence[Row],
        *,
        some_are_there: bool,
    ) -> Written: ...


class Ledger:
    """A pool of connections of the role celerytrail_sink; safe to use from several threads."""

    def __init__(
        self,
        dsn: str,
        *,
        min_size: int = 1,
        max_size: int = 4,
        timeout_seconds: float = 5.0,
        chains: Sequence[int] | None = None,
    ) -> None:
        """Prepare a pool that connects in the background after ``open``.

        ``timeout_seconds`` bounds each wait: for a connection, for a lock, and twice that for a
        statement and for a network that swallows packets. ``chains`` are shared out among the
        connections; without them the principal says which chain its rows go to. Raises
        LedgerUnavailable for a DSN that is none.
        """
        self._chains = None if chains is None else SharedChains(chains)
        self._days: set[date] = set()
        self._transactions = Transactions(
            dsn, min_size=min_size, max_size=max_size, timeout_seconds=timeout_seconds
        )

    def open(self) -> None:
        """Start connecting; returns at once, whether or not the database is there."""
        self._transactions.open()

    def close(self) -> None:
        """Close every connection."""
        self._transactions.close()

    def ready(self) -> None:
        """Return when a batch could be written now.

        Raises LedgerUnavailable when the database does not answer, LedgerRefused when its schema
        does not fit this version.
        """

        def check(connection: Connection) -> None:
            require_suitable_server(connection)
            require_schema(connection)

        try:
            self._transactions.run(check)
        except SqlError as exc:
            raise LedgerRefused(str(exc)) from exc

    def guards(self) -> list[str]:
        """Return the catalog objects that are not as designed, each named; empty when all is well.

        Raises LedgerUnavailable.
        """

        def look(connection: Connection) -> list[str]:
            return [str(row[0]) for row in connection.execute(queries("guards")["wrong"])]

        return self._transactions.run(look)

    def identity(self) -> tuple[str, int]:
        """Return the id of the ledger, and the number of the newest migration that was applied.

        Raises LedgerUnavailable, LedgerRefused where the ledger has no identity.
        """
        row = self._transactions.run(
            lambda connection: connection.execute(queries("ingest")["identity"]).fetchone()
        )
        if row is None:
            raise LedgerRefused("the ledger has no identity: restore celerytrail.ledger")
        return str(row[0]), int(row[1])

    def authenticate(self, token_hash: bytes) -> Principal:
        """Return who a token speaks for, given its SHA-256.

        Raises TokenRefused, LedgerUnavailable.
        """
        return self._transactions.run(lambda connection: _authenticate(connection, token_hash))

    def write_spans(self, token_hash: bytes, rows: Sequence[Row]) -> Written:
        """Store rows in the order of ``SPAN_COLUMNS``; returns after COMMIT.

        Batches of more than 10,000 rows become several transactions; on an error some of them may
        be stored, and are known when the batch comes again. A row that can never be stored is
        refused by itself. Raises TokenRefused, LedgerUnavailable, LedgerRefused; then the batch
        must not be acknowledged.
        """
        return self._write(token_hash, rows, SPAN_COLUMNS, write_span_batch)

    def write_payloads(self, token_hash: bytes, rows: Sequence[Row]) -> Written:
        """Store rows in the order of ``PAYLOAD_COLUMNS``; otherwise as ``write_spans``."""
        return self._write(token_hash, rows, PAYLOAD_COLUMNS, write_payload_batch)

    def quarantine(self, token_hash: bytes, reason: str, items: Sequence[bytes]) -> None:
        """Keep what could not be stored for people to look at, bounded in size and number.

        Raises TokenRefused, LedgerUnavailable.
        """

        def keep(connection: Connection) -> None:
            _begin_durably(connection, token_hash)
            connection.execute(
                queries("ingest")["quarantine"],
                {"reason": reason.replace("\0", ""), "items": list(items[:MAX_ITEMS])},
            )

        if items:
            self._transactions.run(keep)

    def _write(
        self,
        token_hash: bytes,
        rows: Sequence[Row],
        columns: Sequence[Column],
        write_batch: _WriteBatch,
    ) -> Written:
        written = Written()
        for start in range(0, len(rows), MAX_BATCH_ROWS):
            batch = rows[start : start + MAX_BATCH_ROWS]
            written += self._write_batch(token_hash, batch, columns, write_batch)
        if written.sent != len(rows):
            raise LedgerRefused(f"{written.sent} of {len(rows)} rows are accounted for")
        return written

    def _write_batch(
        self,
        token_hash: bytes,
        rows: Sequence[Row],
        columns: Sequence[Column],
        write_batch: _WriteBatch,
    ) -> Written:
        def write(connection: Connection, some_are_there: bool) -> Written:
            chain = None if self._chains is None else self._chains.of(connection)
            principal = _begin_durably(connection, token_hash, chain)
            return write_batch(connection, principal, rows, some_are_there=some_are_there)

        days = days_of(rows, columns)
        try:
            self._ensure_days(days)
            try:
                return self._transactions.run(lambda connection: write(connection, False))
            except NoPartition:
                # Somebody dropped a partition that this process has seen.
                self._days.clear()
                self._ensure_days(days)
            except AlreadyThere:
                pass
            return self._transactions.run(lambda connection: write(connection, True))
        except NoPartition as exc:
            raise LedgerUnavailable("a day has no partition, and none can be made") from exc
        except BadRow as exc:
            if len(rows) == 1:
                wrong = self.guards()
                if wrong:
                    raise LedgerRefused(f"not as designed: {', '.join(wrong)}") from exc
                reason = f"a row that the database refuses: {exc.reason}"
                self.quarantine(token_hash, reason, [_without_user_data(rows[0], columns)])
                return Written(refused=1, refusals=(reason,))
            middle = len(rows) // 2
            return self._write_batch(
                token_hash, rows[:middle], columns, write_batch
            ) + self._write_batch(token_hash, rows[middle:], columns, write_batch)
        except LedgerRefused as exc:
            named: list[str] = []
            with suppress(SinkError):
                named = self.guards()
            if not named:
                raise
            raise LedgerRefused(f"{exc}; not as designed: {', '.join(named)}") from exc

    def _ensure_days(self, days: set[date]) -> None:
        """Make the partitions of days that this process has not seen yet.

        In a transaction of its own: a partition is there for all, whatever becomes of the batch.
        """
        if days <= self._days:
            return
        self._transactions.run(
            lambda connection: connection.execute(
                queries("ingest")["ensure_days"], {"days": sorted(days)}
            )
        )
        self._days |= days


def _begin_durably(
    connection: Connection, token_hash: bytes, chain: int | None = None
) -> Principal:
    """Bind the session to who a token speaks for, in a transaction whose COMMIT is durable."""
    with in_one_go(connection):
        durability = connection.execute(queries("ingest")["synchronous_commit"])
        principal = _ask_for_principal(connection, token_hash, chain)
    # The other values are at least durable here; waiting for a standby is the operator's choice.
    if the_row(durability) == ("off",):
        connection.execute(queries("ingest")["commit_durably"])
    return Principal(*the_row(principal))


def _without_user_data(row: Row, columns: Sequence[Column]) -> bytes:
    """Return a row for the quarantine: of a payload neither the body nor what proves a guess of it."""
    if columns is PAYLOAD_COLUMNS:
        row = tuple(
            _length(value) if column.name in ("body", "salt") else value
            for column, value in zip(columns, row, strict=True)
        )
    return repr(row).encode(errors="replace")


def _length(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__


def _authenticate(connection: Connection, token_hash: bytes) -> Principal:
    return Principal(*the_row(_ask_for_principal(connection, token_hash)))


def _ask_for_principal(
    connection: Connection, token_hash: bytes, chain: int | None = None
) -> psycopg.Cursor[Row]:
    name = "authenticate" if chain is None else "authenticate_on_chain"
    return connection.execute(queries("ingest")[name], {"token_hash": token_hash, "chain": chain})
