"""Ranges of a chain that the database recomputes, one after another or in several sessions at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue

from celerytrail.sql.named_queries import queries
from celerytrail.sql.outside_window import copy_rows
from celerytrail.sql.snapshot import Connection, snapshot
from celerytrail.sql.verification import Bad, Fault

KEEP_BAD = 100
"""How many bad items of a range are kept for the report."""

RANGE_ROWS = 65_536
_CANCEL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Range:
    """The links of a chain after ``from_n`` up to ``to_n``, the first of which follows ``from_hash``.

    ``hash`` is that of the last one; ``blocks``, ``rows`` and ``first_batch`` are what they claim.
    ``since`` maps chains to the link after which the whole run reads them.
    """

    chain: int
    from_n: int
    from_hash: bytes | None
    to_n: int
    hash: bytes
    blocks: int
    rows: int
    first_batch: int
    since: Mapping[int, int]


def cut(
    connection: Connection,
    chain: int,
    from_n: int,
    from_hash: bytes | None,
    since: Mapping[int, int],
) -> list[Range]:
    """Return the ranges of what came after a link of a chain. Raises psycopg.Error."""
    ranges: list[Range] = []
    reach = {"chain": chain, "from_n": from_n, "range_rows": RANGE_ROWS}
    for to_n, hash, blocks, rows, first_batch in connection.execute(
        queries("verify")["sql_plan"], reach
    ):
        ranges.append(Range(chain, from_n, from_hash, to_n, hash, blocks, rows, first_batch, since))
        from_n, from_hash = to_n, hash
    return ranges


def read_range(connection: Connection, one: Range) -> list[Bad]:
    """Return what is wrong in a range, as the database says. Raises psycopg.Error."""
    reach = {
        "chain": one.chain,
        "from_n": one.from_n,
        "from_hash": one.from_hash,
        "to_n": one.to_n,
        "at_most": KEEP_BAD,
        "since_chains": [*one.since],
        "since_ns": [*one.since.values()],
    }
    return [
        Bad(Fault(fault), one.chain, n, batch_id, day, row_id, position, detail or "")
        for n, batch_id, fault, day, row_id, position, detail in connection.execute(
            queries("verify")["sql_range"], reach
        )
    ]


def read_ranges(
    dsn: str, connection: Connection, ranges: Sequence[Range], jobs: int
) -> Iterator[tuple[Range, list[Bad]]]:
    """Yield each range with what is wrong in it, read in ``jobs`` sessions of one snapshot.

    ``connection`` is one of them. Where this ends early, what the others run is cancelled. Raises
    DatabaseUnreachable, CannotVerify and psycopg.Error.
    """
    if min(jobs, len(ranges)) <= 1:
        for one in ranges:
            yield one, read_range(connection, one)
        return
    exported = next(fields[0] or b"" for fields in copy_rows(connection, "outside_export"))
    with ExitStack() as stack:
        sessions = [connection] + [
            stack.enter_context(snapshot(dsn, exported.decode()))
            for _ in range(min(jobs, len(ranges)) - 1)
        ]
        yield from zip(ranges, _shared(sessions, ranges, read_range), strict=True)


def _shared(
    sessions: Sequence[Connection],
    ranges: Sequence[Range],
    read: Callable[[Connection, Range], list[Bad]],
) -> Iterator[list[Bad]]:
    free: SimpleQueue[Connection] = SimpleQueue()
    for session in sessions:
        free.put(session)

    def work(one: Range) -> list[Bad]:
        session = free.get()
        try:
            return read(session, one)
        finally:
            free.put(session)

    with ThreadPoolExecutor(len(sessions), "celerytrail-verify") as threads:
        readings = [threads.submit(work, one) for one in ranges]
        try:
            for reading in readings:
                yield reading.result()
        except BaseException:
            for reading in readings:
                reading.cancel()
            for session in sessions:
                session.cancel_safe(timeout=_CANCEL_SECONDS)
            raise
