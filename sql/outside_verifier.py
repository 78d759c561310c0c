"""Verify a ledger from outside: binary COPY in, hashlib here, no function of the database asked.

Everything is read in one snapshot, in windows of the chain, so memory stays bounded however long
the chain is. Windows start at a known link, so several processes can share them.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context

import psycopg

from celerytrail.sql import chain_hash
from celerytrail.sql.announced_drops import announced_drops, leaves_at, unsaid
from celerytrail.sql.counts import miscounted, settle_counting
from celerytrail.sql.head_file import Head, Heads
from celerytrail.sql.kept_heads import off_chain
from celerytrail.sql.kept_links import ByN, KeptHashes, kept_hashes, passed_by
from celerytrail.sql.orphans import orphans
from celerytrail.sql.outside_window import (
    Window,
    WindowReading,
    copy_rows,
    day_text,
    integer,
    verify_window,
)
from celerytrail.sql.snapshot import Connection, hidden_rows, snapshot
from celerytrail.sql.verification import (
    Bad,
    CannotVerify,
    DroppedDay,
    Fault,
    Progress,
    Reading,
    in_order,
)

WINDOW_ROWS = 32_768
WINDOW_BLOCKS = 1_024


def verify_outside(
    dsn: str,
    *,
    chain: int | None = None,
    since: Heads | None = None,
    against: Heads | None = None,
    noted: Sequence[Head] = (),
    jobs: int = 1,
    progress: Progress | None = None,
) -> Reading:
    """Read the ledger at ``dsn`` and recompute every hash, in ``jobs`` processes.

    ``chain`` limits it to one chain. ``since`` starts after the heads it names; both it,
    ``against`` and ``noted`` must still be on the chain: on the links that are walked along here, not
    only where the database is asked for one of them. Raises CannotVerify where the ledger cannot be read.
    """
    started = time.monotonic()
    with snapshot(dsn) as connection:
        try:
            kept = kept_hashes(against, noted)
            return _verify(dsn, connection, chain, since, against, kept, jobs, progress, started)
        except psycopg.errors.InsufficientPrivilege as error:
            return Reading(
                "outside", {}, {}, 0, 0, time.monotonic() - started, (hidden_rows(error),)
            )


def _verify(
    dsn: str,
    connection: Connection,
    only: int | None,
    since: Heads | None,
    against: Heads | None,
    kept: KeptHashes,
    jobs: int,
    progress: Progress | None,
    started: float,
) -> Reading:
    ledger_id = next((fields[0] or b"" for fields in copy_rows(connection, "outside_ledger")), b"")
    bad: list[Bad] = []
    for heads_kept in (since, against):
        if heads_kept is not None:
            bad += off_chain(connection, heads_kept, ledger_id, only)
    lost = {fault.chain for fault in bad}
    since_n = {
        head.chain: head.n
        for head in (since.chains if since is not None else ())
        if head.chain not in lost
    }
    announced = announced_drops(connection, since_n)
    said = leaves_at([*announced.values()])
    times = {day: drop.linked_at for day, drop in announced.items()}
    stored_heads = {
        integer(fields[0]): (integer(fields[1]), fields[2] or b"", integer(fields[3]))
        for fields in copy_rows(connection, "outside_heads")
    }
    chains = sorted(
        set(stored_heads)
        | {integer(fields[0]) for fields in copy_rows(connection, "outside_chains")}
    )
    windows: list[Window] = []
    from_n: dict[int, int] = {}
    heads: dict[int, tuple[int, bytes]] = {}
    for chain in chains if only is None else [only]:
        bad += _before_first(connection, chain)
        start = since.of(chain) if since is not None and chain not in lost else None
        from_n[chain] = start.n if start is not None else 0
        prev = start.hash if start is not None else chain_hash.genesis_hash(ledger_id, chain)
        last = from_n[chain], prev, _linked_at(connection, chain, from_n[chain])
        said_here = ByN({n: one for (of, n), one in said.items() if of == chain})
        kept_here = ByN(kept.get(chain, {}))
        for window, end in _windows(connection, ledger_id, chain, *last):
            windows.append(
                replace(
                    window,
                    announced=times,
                    said=said_here.within(window.from_n, window.to_n),
                    kept=kept_here.within(window.from_n, window.to_n),
                )
            )
            last = end
        heads[chain] = last[:2]
        stored = stored_heads.get(chain)
        if last[0] == 0 and stored is not None:
            # The head of a chain without a link carries the time when the chain was made.
            stored, last = (*stored[:2], 0), (*last[:2], 0)
        if stored != last:
            bad.append(Bad(Fault.HEAD, chain, last[0], detail=_head_text(stored_heads.get(chain))))
    blocks = rows = 0
    chain_rows = dict.fromkeys(heads, 0)
    first_batch: int | None = None
    dropped: dict[int, tuple[int, int]] = {}
    sure: set[bytes] = set()
    compared: set[tuple[int, int]] = set()
    expected_rows = sum(window.rows for window in windows)
    for reading in _read(dsn, connection, windows, jobs):
        blocks += reading.blocks
        rows += reading.rows
        chain_rows[reading.window.chain] += reading.rows
        # What the database said when it was asked for a kept head is told once.
        bad += [item for item in reading.bad if item not in bad]
        sure |= reading.said
        compared |= {(reading.window.chain, n) for n in reading.kept}
        if reading.first_batch is not None:
            first_batch = min(reading.first_batch, first_batch or reading.first_batch)
        for day, (groups, count) in reading.dropped.items():
            before = dropped.get(day, (0, 0))
            dropped[day] = before[0] + groups, before[1] + count
        if progress is not None:
            progress(rows, expected_rows)
    bad += passed_by(kept, from_n, compared, bad)
    if only is None:
        bad += unsaid({day: announced[day] for day in dropped}, sure, bad)
    if since is None:
        settle_counting(connection)
    bad += orphans(connection, whole=since is None, first_batch=first_batch)
    if since is None:
        bad += miscounted(connection, heads, only, bad)
    return Reading(
        "outside",
        from_n,
        heads,
        blocks,
        rows,
        time.monotonic() - started,
        in_order(bad),
        tuple(
            DroppedDay(day_text(day), groups, count, announced[day].actor)
            for day, (groups, count) in sorted(dropped.items())
        ),
        chain_rows,
    )


def _windows(
    connection: Connection,
    ledger_id: bytes,
    chain: int,
    from_n: int,
    prev: bytes,
    linked_at: int,
) -> Iterator[tuple[Window, tuple[int, bytes, int]]]:
    """Cut a chain into windows; with each comes the link it ends at."""
    begin, rows, blocks = (from_n, prev, linked_at), 0, 0
    end = begin
    for fields in copy_rows(connection, "outside_plan", {"chain": chain, "from_n": from_n}):
        end = integer(fields[0]), fields[1] or b"", integer(fields[2])
        rows += max(0, integer(fields[3]))
        blocks += 1
        if rows >= WINDOW_ROWS or blocks >= WINDOW_BLOCKS:
            yield Window(ledger_id, chain, *begin, *end[:2], rows, {}, {}, {}), end
            begin, rows, blocks = end, 0, 0
    if blocks:
        yield Window(ledger_id, chain, *begin, *end[:2], rows, {}, {}, {}), end


def _read(
    dsn: str, connection: Connection, windows: list[Window], jobs: int
) -> Iterator[WindowReading]:
    jobs = min(jobs, len(windows))
    if jobs <= 1:
        for window in windows:
            yield verify_window(connection, window)
        return
    exported = next(fields[0] or b"" for fields in copy_rows(connection, "outside_export"))
    # Not forked: a connection must never be shared between processes.
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), _prepare_worker, (dsn, exported.decode())
    ) as workers:
        try:
            yield from workers.map(_work, windows)
        except BrokenProcessPool as error:
            raise CannotVerify(
                "a process that read the ledger was killed, maybe for want of memory: try again,"
                " with fewer --jobs"
            ) from error


_snapshot_of_worker: list[tuple[str, str]] = []
_worker: list[Connection] = []
_until_exit = ExitStack()


def _prepare_worker(dsn: str, exported: str) -> None:
    _snapshot_of_worker.append((dsn, exported))


def _work(window: Window) -> WindowReading:
    if not _worker:
        # Here, so that a failure is the error of a window. It lives as long as its process.
        atexit.register(_until_exit.close)
        _worker.append(_until_exit.enter_context(snapshot(*_snapshot_of_worker[0])))
    return verify_window(_worker[0], window)


def _before_first(connection: Connection, chain: int) -> list[Bad]:
    """Return the links at places that no link can have; a walk from the first sees none of them."""
    return [
        Bad(Fault.BEFORE_FIRST, chain, integer(fields[0]), integer(fields[1]))
        for fields in copy_rows(connection, "outside_before_first", {"chain": chain})
    ]


def _linked_at(connection: Connection, chain: int, n: int) -> int:
    """Return when a link was made, for one before the first the earliest time there is."""
    found: Iterable[list[bytes | None]] = copy_rows(
        connection, "outside_link", {"chain": chain, "n": n}
    )
    return next((integer(fields[1]) for fields in found), -(2**63))


def _head_text(stored: tuple[int, bytes, int] | None) -> str:
    return "it has none" if stored is None else f"it says n {stored[0]}, {stored[1].hex()[:16]}..."
