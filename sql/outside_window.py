"""Recompute a stretch of one chain from what a binary COPY sends: links, bodies, leaves, rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from celerytrail.sql import binary_copy, chain_hash
from celerytrail.sql.hashed_rows import HASHED_TABLES, SPANS, HashedTable
from celerytrail.sql.named_queries import queries
from celerytrail.sql.pinpoint import Kept, group_faults, id_text
from celerytrail.sql.snapshot import Connection
from celerytrail.sql.stored_rows import Days, rows_by_field, stored_rows
from celerytrail.sql.verification import Bad, Fault

KEEP_BAD = 100
"""How many bad items of a window are kept for the report; the first ones are those that matter."""

_EPOCH_DAY = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Window:
    """The links of a chain after ``from_n`` up to ``to_n``; the first one follows ``prev``.

    ``hash`` is that of the last one. ``announced`` maps a day that retention dropped to when that was
    said in the chain, ``said`` the n of an action that says so to the leaves of its row. ``kept`` maps
    an n to the hashes that somebody kept of that link. Times are microseconds and days days since
    2000-01-01. ``rows`` is what the blocks claim, for progress.
    """

    ledger_id: bytes
    chain: int
    from_n: int
    prev: bytes
    linked_at: int
    to_n: int
    hash: bytes
    rows: int
    announced: Mapping[int, int]
    said: Mapping[int, frozenset[bytes]]
    kept: Mapping[int, frozenset[bytes]]


@dataclass(frozen=True, slots=True)
class WindowReading:
    """What was read. ``dropped`` maps a day to the groups and rows that retention took.

    ``said`` are the leaves asked for that are in their blocks, ``kept`` each n of a kept link that was
    compared.
    """

    window: Window
    blocks: int
    rows: int
    first_batch: int | None
    bad: tuple[Bad, ...]
    dropped: dict[int, tuple[int, int]]
    said: frozenset[bytes]
    kept: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Block:
    n: int
    batch_id: int
    linked_at: int
    table: HashedTable
    groups: tuple[chain_hash.Group, ...]


@dataclass(slots=True)
class _Faults:
    chain: int
    found: list[Bad] = field(default_factory=list)

    def add(self, fault: Fault, n: int, batch_id: int | None = None, **where: object) -> None:
        if len(self.found) < KEEP_BAD:
            self.found.append(Bad(fault, self.chain, n, batch_id, **where))  # type: ignore[arg-type]


def verify_window(connection: Connection, window: Window) -> WindowReading:
    """Read one window in the connection's snapshot and compare every hash.

    Raises psycopg.Error where a read fails, CannotVerify where an answer has another shape.
    """
    faults = _Faults(window.chain)
    blocks, links, first_batch = [], 0, None
    kept: set[int] = set()
    for block, batch_id in _links(connection, window, faults, kept):
        links += 1
        first_batch = batch_id if first_batch is None else min(first_batch, batch_id)
        if block is not None:
            blocks.append(block)
    said: set[bytes] = set()
    rows, dropped = _contents(connection, window, blocks, faults, said)
    found = tuple(faults.found)
    return WindowReading(
        window, links, rows, first_batch, found, dropped, frozenset(said), frozenset(kept)
    )


def copy_rows(
    connection: Connection, query: str, parameters: Mapping[str, object] | None = None
) -> Iterator[list[bytes | None]]:
    """Yield the rows of a named query of ``verify.sql`` that is a binary COPY."""
    with connection.cursor() as cursor, cursor.copy(queries("verify")[query], parameters) as copy:
        yield from binary_copy.rows(copy)


def integer(data: bytes | None) -> int:
    """Return a signed big endian integer of any width, 0 for NULL."""
    return int.from_bytes(data or b"", "big", signed=True)


def day_text(day: int) -> str:
    """Return a day (int32 since 2000-01-01) as Postgres writes it."""
    if day in (2**31 - 1, -(2**31)):
        return "infinity" if day > 0 else "-infinity"
    try:
        return (_EPOCH_DAY + timedelta(days=day)).isoformat()
    except OverflowError:
        return f"2000-01-01 {day:+d} days"


def _links(
    connection: Connection, window: Window, faults: _Faults, kept: set[int]
) -> Iterator[tuple[_Block | None, int]]:
    expected, prev, last_time = window.from_n + 1, window.prev, window.linked_at
    reach = {"chain": window.chain, "from_n": window.from_n, "to_n": window.to_n}
    for fields in copy_rows(connection, "outside_links", reach):
        n, batch_id, linked_at = (integer(fields[at]) for at in (0, 1, 4))
        stored_prev, stored_hash = fields[2] or b"", fields[3] or b""
        if n != expected:
            faults.add(Fault.GAP, expected, detail=f"links {expected} to {n - 1} are missing")
        elif stored_prev != prev:
            faults.add(Fault.NOT_NEXT, n, batch_id)
        if linked_at < last_time:
            faults.add(Fault.TIME_BACK, n, batch_id)
        for hash in sorted(window.kept.get(n, ())):
            kept.add(n)
            if hash != stored_hash:
                faults.add(Fault.OFF_CHAIN, n, detail=off_chain_text(hash, stored_hash))
        yield _block(fields, window, n, batch_id, linked_at, faults), batch_id
        expected, prev, last_time = n + 1, stored_hash, linked_at
    if (expected - 1, prev) != (window.to_n, window.hash):
        # Both were read in one snapshot.
        text = "the database said two things of it"
        faults.add(Fault.LINK, window.to_n, detail=text)


def off_chain_text(kept: bytes, stored: bytes) -> str:
    """Return how a kept hash and the one that is there now differ."""
    return f"kept {kept.hex()[:16]}..., found {stored.hex()[:16]}..."


def _block(
    fields: Sequence[bytes | None],
    window: Window,
    n: int,
    batch_id: int,
    linked_at: int,
    faults: _Faults,
) -> _Block | None:
    if fields[5] is None:
        faults.add(Fault.NO_BLOCK, n, batch_id)
        return None
    block_chain, kind, version, count = (integer(field) for field in fields[5:9])
    body, sealed_by, sealed_at = fields[12] or b"", fields[13] or b"", integer(fields[14])
    link = chain_hash.Link(
        window.ledger_id,
        version,
        kind,
        window.chain,
        n,
        fields[2] or b"",
        body,
        sealed_at,
        linked_at,
        sealed_by,
    )
    if chain_hash.block_hash(link) != fields[3] or block_chain != window.chain:
        faults.add(Fault.LINK, n, batch_id)
    groups = _groups(fields[9:12])
    if groups is None or chain_hash.body_hash(batch_id, count, groups) != body:
        faults.add(Fault.BODY, n, batch_id)
        return None
    if sum(group.count for group in groups) != count:
        faults.add(Fault.BODY, n, batch_id, detail="its counts do not add up")
    table = HASHED_TABLES.get((version, kind))
    if table is None:
        faults.add(Fault.UNKNOWN, n, batch_id, detail=f"format {version}, kind {kind}")
        return None
    return _Block(n, batch_id, linked_at, table, groups)


def _groups(fields: Sequence[bytes | None]) -> tuple[chain_hash.Group, ...] | None:
    arrays = [binary_copy.array_items(field) for field in fields]
    days, counts, roots = arrays
    if (
        days is None
        or counts is None
        or roots is None
        or not 0 < len(days) == len(counts) == len(roots)
    ):
        return None
    groups = []
    for day, count, root in zip(days, counts, roots, strict=True):
        if day is None or count is None or root is None:
            return None
        groups.append(chain_hash.Group(integer(day), integer(count), root))
    return tuple(groups)


def _contents(
    connection: Connection,
    window: Window,
    blocks: Sequence[_Block],
    faults: _Faults,
    said: set[bytes],
) -> tuple[int, dict[int, tuple[int, int]]]:
    batches = {"batches": [block.batch_id for block in blocks]}
    kept: dict[tuple[int, int], Kept] = {}
    for fields in copy_rows(connection, "outside_leaf_groups", batches):
        key = integer(fields[0]), integer(fields[1])
        kept[key] = Kept(integer(fields[2]), fields[3] or b"", fields[4] or b"")
    stored: dict[int, Days] = {}
    for table in {block.table for block in blocks}:
        batch_ids = [block.batch_id for block in blocks if block.table is table]
        stored.update(stored_rows(connection, table, batch_ids))
    total = sum(len(rows) for days in stored.values() for rows in days.values())
    dropped: dict[int, tuple[int, int]] = {}
    for block in blocks:
        here = stored.get(block.batch_id, {})
        if here and not _fits(block, here):
            here = rows_by_field(connection, block.table, [block.batch_id]).get(block.batch_id, {})
        for group in block.groups:
            gone = block.linked_at <= window.announced.get(group.day, block.linked_at - 1)
            leaf_group = kept.pop((block.batch_id, group.day), None)
            rows = here.pop(group.day, [])
            rows_stay = block.table is not SPANS
            if gone and not rows_stay and leaf_group is None and not rows:
                groups, count = dropped.get(group.day, (0, 0))
                dropped[group.day] = groups + 1, count + group.count
            wrong = group_faults(group, rows, leaf_group, gone, rows_stay=rows_stay)
            if rows_stay and not wrong:
                said |= window.said.get(block.n, frozenset()) & {leaf for _, leaf in rows}
            for fault in wrong:
                faults.add(
                    fault.fault,
                    block.n,
                    block.batch_id,
                    day=day_text(group.day),
                    row_id=fault.row_id,
                    position=fault.position,
                    detail=fault.detail,
                )
        for day, rows_of_day in here.items():
            for row_id, _ in rows_of_day:
                faults.add(
                    Fault.ROW_ADDED,
                    block.n,
                    block.batch_id,
                    day=day_text(day),
                    row_id=id_text(row_id),
                    detail="the block has no such day",
                )
    return total, dropped


def _fits(block: _Block, stored: Days) -> bool:
    """Say whether the rows that are there are those that the block speaks of."""
    roots = {group.day: group.root for group in block.groups}
    return all(
        chain_hash.group_root(b"".join(leaf for _, leaf in rows)) == roots.get(day)
        for day, rows in stored.items()
    )
