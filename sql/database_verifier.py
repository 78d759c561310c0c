"""Verify a ledger inside the database: its own SQL recomputes everything in one pass.

Fast, and convenient for a dashboard; whoever can replace functions of the database can make it say
anything, which is why the outside verifier exists.
"""

from __future__ import annotations

import time

import psycopg

from celerytrail.sql.head_file import Heads
from celerytrail.sql.kept_heads import off_chain
from celerytrail.sql.named_queries import queries
from celerytrail.sql.orphans import orphans
from celerytrail.sql.outside_window import copy_rows
from celerytrail.sql.snapshot import Connection, hidden_rows, snapshot
from celerytrail.sql.verification import Bad, DroppedDay, Fault, Reading, in_order

KEEP_BAD = 100
"""How many bad items of a chain are kept for the report."""


def verify_inside(
    dsn: str,
    *,
    chain: int | None = None,
    since: Heads | None = None,
    against: Heads | None = None,
) -> Reading:
    """Let the database at ``dsn`` recompute its chains, and return what it says.

    The parameters are those of ``verify_outside``. Raises DatabaseUnreachable, CannotVerify.
    """
    started = time.monotonic()
    with snapshot(dsn) as connection:
        try:
            return _verify(connection, chain, since, against, started)
        except psycopg.errors.InsufficientPrivilege as error:
            return Reading("sql", {}, {}, 0, 0, time.monotonic() - started, (hidden_rows(error),))


def _verify(
    connection: Connection,
    only: int | None,
    since: Heads | None,
    against: Heads | None,
    started: float,
) -> Reading:
    statements = queries("verify")
    ledger_id = next((fields[0] or b"" for fields in copy_rows(connection, "outside_ledger")), b"")
    bad: list[Bad] = []
    for kept in (since, against):
        if kept is not None:
            bad += off_chain(connection, kept, ledger_id, only)
    lost = {fault.chain for fault in bad}
    chains = [row[0] for row in connection.execute(statements["sql_chains"])]
    from_n: dict[int, int] = {}
    heads: dict[int, tuple[int, bytes]] = {}
    dropped: list[DroppedDay] = []
    blocks = rows = 0
    first_batches: list[int] = []
    for chain in chains if only is None else [only]:
        start = since.of(chain) if since is not None and chain not in lost else None
        from_n[chain] = start.n if start is not None else 0
        reach = {
            "chain": chain,
            "from_n": from_n[chain],
            "from_hash": start.hash if start is not None else None,
            "at_most": KEEP_BAD,
        }
        bad += [
            Bad(Fault(fault), chain, n, batch_id, day, row_id, position, detail or "")
            for n, batch_id, fault, day, row_id, position, detail in connection.execute(
                statements["sql_chain"], reach
            )
        ]
        read = connection.execute(statements["sql_read"], reach).fetchone()
        assert read is not None  # an aggregate has one row
        blocks += read[0]
        rows += read[1]
        if read[4] is not None:
            first_batches.append(read[4])
        if read[2] is None:
            genesis = connection.execute(statements["sql_genesis"], reach).fetchone()
            heads[chain] = 0, genesis[0] if genesis is not None else b""
        else:
            heads[chain] = read[2], read[3]
        dropped += [
            DroppedDay(day, groups, count, by)
            for day, groups, count, by in connection.execute(statements["sql_dropped"], reach)
        ]
    bad += orphans(
        connection,
        whole=since is None,
        first_batch=min(first_batches) if first_batches else None,
    )
    return Reading(
        "sql",
        from_n,
        heads,
        blocks,
        rows - sum(day.rows for day in dropped),
        time.monotonic() - started,
        in_order(bad),
        tuple(dropped),
    )
