"""The leaves of the rows that are stored for some blocks, computed outside of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from celerytrail.sql import binary_copy
from celerytrail.sql.hashed_records import OddRecord, record_leaves
from celerytrail.sql.hashed_rows import SPANS, HashedTable, Leaf
from celerytrail.sql.named_queries import queries
from celerytrail.sql.snapshot import Connection

Days = dict[int, list[tuple[bytes, bytes]]]
"""By day the (id, leaf) of each row, in the order of ids."""


def stored_rows(
    connection: Connection, table: HashedTable, batch_ids: Sequence[int]
) -> dict[int, Days]:
    """Return the rows of these batches as they are now, by batch.

    Raises psycopg.Error where a read fails, CannotVerify where an answer has another shape.
    """
    if table is SPANS:
        try:
            return _read(connection, "outside_span_records", batch_ids, record_leaves)
        except OddRecord:
            pass
    return rows_by_field(connection, table, batch_ids)


def rows_by_field(
    connection: Connection, table: HashedTable, batch_ids: Sequence[int]
) -> dict[int, Days]:
    """Return the same, each row put together here from the bytes of its fields."""
    return _read(connection, f"outside_{table.name}", batch_ids, table.leaves)


def _read(
    connection: Connection,
    query: str,
    batch_ids: Sequence[int],
    leaves: Callable[[Iterable[bytes]], Iterator[Leaf]],
) -> dict[int, Days]:
    found: dict[int, Days] = {}
    parameters: Mapping[str, object] = {"batches": list(batch_ids)}
    place: tuple[int, int] | None = None
    rows: list[tuple[bytes, bytes]] = []
    with connection.cursor() as cursor, cursor.copy(queries("verify")[query], parameters) as copy:
        for batch_id, day, key, hash in leaves(binary_copy.messages(copy)):
            # Rows of a batch lie together, so that the place is looked up once for many of them.
            if (batch_id, day) != place:
                place = batch_id, day
                rows = found.setdefault(batch_id, {}).setdefault(day, [])
            rows.append((key, hash))
    for days in found.values():
        for rows in days.values():
            rows.sort()
    return found
