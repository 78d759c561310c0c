"""One read-only view of the ledger, the same for every query and every process that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from celerytrail.sql.connection import connect, describe_dsn
from celerytrail.sql.named_queries import queries
from celerytrail.sql.verification import Bad, CannotVerify, Fault

Connection = psycopg.Connection[TupleRow]


@contextmanager
def snapshot(dsn: str, exported: str | None = None) -> Iterator[Connection]:
    """Open a connection in one REPEATABLE READ, READ ONLY transaction; it ends with the block.

    ``exported`` is the id that another process exported, to see exactly what that one sees. Row
    security is off: a policy that would hide a row makes the read fail instead.
    Raises DatabaseUnreachable, and CannotVerify where a read fails.
    """
    statements = queries("verify")
    with connect(dsn, application_name="celerytrail verify", autocommit=True) as connection:
        try:
            connection.execute(statements["begin_snapshot"])
            if exported is not None:
                # Takes a literal only, and nothing may be read before it.
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(exported))
            connection.execute(statements["settle_session"])
            yield connection
            # Here, where a server that is gone by now is told like one that went earlier.
            connection.commit()
        except psycopg.Error as error:
            raise CannotVerify(
                f"cannot verify the ledger at {describe_dsn(dsn)}: {what_failed(error)}"
            ) from error


def what_failed(error: psycopg.Error) -> str:
    """Return what the server or libpq said, in one line, without statement or parameters."""
    return str(error.diag.message_primary or error).strip().split("\n")[0]


def hidden_rows(error: psycopg.errors.InsufficientPrivilege) -> Bad:
    """Return the fault of a read that a row-security policy would have filtered.

    Raises CannotVerify for any other refusal: then the role lacks a right it needs.
    """
    text = what_failed(error)
    if "row-level security" not in text:
        raise CannotVerify(f"{text}: connect as celerytrail_verifier") from error
    return Bad(Fault.HIDDEN, detail=text)
