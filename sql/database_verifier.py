"""Verify a ledger inside the database: its own SQL recomputes everything, range by range.

Fast, and convenient for a dashboard; whoever can replace functions of the database can make it say
anything, which is why the outside verifier exists.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from celerytrail.sql.counts import miscounted, settle_counting
from celerytrail.sql.database_range import KEEP_BAD, Range, cut, read_ranges
from celerytrail.sql.head_file import Head, Heads
from celerytrail.sql.kept_heads import off_chain
from celerytrail.sql.merged_days import by_day
from celerytrail.sql.named_queries import queries
from celerytrail.sql.orphans import orphans
from celerytrail.sql.outside_window import copy_rows
from celerytrail.sql.snapshot import Connection, hidden_rows, snapshot
from celerytrail.sql.verification import Bad, DroppedDay, Fault, Progress, Reading, in_order


def verify_inside(
    dsn: str,
    *,
    chain: int | None = None,
    since: Heads | None = None,
    against: Heads | None = None,
    noted: Sequence[
        Head
    ] = (),  # compared by the other way, which is to be believed against a database
    jobs: int = 1,
    progress: Progress | None = None,
) -> Reading:
    """Let the database at ``dsn`` recompute its chains in ``jobs`` sessions, and return what it says.

    The parameters are those of ``verify_outside``. Raises DatabaseUnreachable, CannotVerify.
    """
    started = time.monotonic()
    with snapshot(dsn) as connection:
        try:
            return _verify(dsn, connection, chain, since, against, jobs, progress, started)
        except psycopg.errors.InsufficientPrivilege as error:
            return Reading("sql", {}, {}, 0, 0, time.monotonic() - started, (hidden_rows(error),))


def _verify(
    dsn: str,
    connection: Connection,
    only: int | None,
    since: Heads | None,
    against: Heads | None,
    jobs: int,
    progress: Progress | None,
    started: float,
) -> Reading:
    statements = queries("verify")
    ledger_id = next((fields[0] or b"" for fields in copy_rows(connection, "outside_ledger")), b"")
    bad: list[Bad] = []
    for kept in (since, against):
        if kept is not None:
            bad += off_chain(connection, kept, ledger_id, only)
    lost = {fault.chain for fault in bad}
    since_n = {
        head.chain: head.n
        for head in (since.chains if since is not None else ())
        if head.chain not in lost
    }
    chains = [row[0] for row in connection.execute(statements["sql_chains"])]
    from_n: dict[int, int] = {}
    heads: dict[int, tuple[int, bytes]] = {}
    chain_rows: dict[int, int] = {}
    dropped: list[DroppedDay] = []
    ranges: list[Range] = []
    for chain in chains if only is None else [only]:
        start = since.of(chain) if since is not None and chain not in lost else None
        from_n[chain] = start.n if start is not None else 0
        reach = {
            "chain": chain,
            "from_n": from_n[chain],
            "at_most": KEEP_BAD,
            "since_chains": [*since_n],
            "since_ns": [*since_n.values()],
        }
        from_hash = start.hash if start is not None else None
        of_chain = cut(connection, chain, from_n[chain], from_hash, since_n)
        ranges += of_chain
        if of_chain:
            heads[chain] = of_chain[-1].to_n, of_chain[-1].hash
        elif start is not None:
            heads[chain] = start.n, start.hash
        else:
            genesis = connection.execute(statements["sql_genesis"], reach).fetchone()
            heads[chain] = 0, genesis[0] if genesis is not None else b""
        bad += [
            Bad(Fault(fault), chain, n, batch_id, detail=detail)
            for n, batch_id, fault, detail in connection.execute(statements["sql_ends"], reach)
        ]
        dropped_here = [
            DroppedDay(day, groups, count, by)
            for day, groups, count, by in connection.execute(statements["sql_dropped"], reach)
        ]
        chain_rows[chain] = sum(one.rows for one in of_chain) - sum(
            day.rows for day in dropped_here
        )
        dropped += dropped_here
    total = sum(one.rows for one in ranges)
    rows = 0
    for one, found in read_ranges(dsn, connection, ranges, jobs):
        bad += found
        rows += one.rows
        if progress is not None:
            progress(rows, total)
    first_batch = min((one.first_batch for one in ranges), default=None)
    if since is None:
        settle_counting(connection)
    bad += orphans(connection, whole=since is None, first_batch=first_batch)
    if since is None:
        bad += miscounted(connection, heads, only, bad)
    return Reading(
        "sql",
        from_n,
        heads,
        sum(one.blocks for one in ranges),
        sum(chain_rows.values()),
        time.monotonic() - started,
        in_order(bad),
        by_day(dropped),
        chain_rows,
    )
