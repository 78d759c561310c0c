"""Builds the read model again from the ledger, with the statements that the sink keeps it by."""

from __future__ import annotations

from typing import Any

import psycopg

from celerytrail.sql.named_queries import queries

ROWS_AT_ONCE = 10_000

Connection = psycopg.Connection[tuple[Any, ...]]


def rebuild_read_model(connection: Connection, rows_at_once: int = ROWS_AT_ONCE) -> int:
    """Empty the read model and fill it from the ledger in one transaction.

    Return how many rows of spans were read; the actions of operators are read as well.

    Writers wait until it is done, readers see the old state until then. Numbers that were refused
    on purpose are kept: they are nowhere else. So are whole streams once retention has dropped days:
    what is left is added to them. Needs the role that migrated. Raises psycopg.Error.
    """
    rebuild = queries("rebuild")
    model = queries("read_model")
    total = 0
    with connection.transaction():
        connection.execute(rebuild["begin"])
        after_batch = 0
        while (up_to_batch := _next_batches(connection, after_batch, rows_at_once)) is not None:
            total += connection.execute(
                rebuild["stage"], {"after_batch": after_batch, "up_to_batch": up_to_batch}
            ).rowcount
            connection.execute(rebuild["streams"])
            for statement in model.values():
                connection.execute(statement)
            connection.execute(rebuild["next"])
            after_batch = up_to_batch
        connection.execute(rebuild["actions"])
        connection.execute(rebuild["end"])
    return total


def _next_batches(connection: Connection, after_batch: int, rows_at_once: int) -> int | None:
    row = connection.execute(
        queries("rebuild")["next_batches"],
        {"after_batch": after_batch, "rows_at_once": rows_at_once},
    ).fetchone()
    assert row is not None  # an aggregate has one row
    return None if row[0] is None else int(row[0])
