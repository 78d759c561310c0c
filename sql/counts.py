"""Count what the tables hold, so that nothing is in them that a walk along an index does not come by.

A verifier looks rows up by their batch. Somebody with all rights can keep an index from a row, or give a
row no batch at all, and put everything else back as it was: queries that take another way find that row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from celerytrail.sql.named_queries import queries
from celerytrail.sql.outside_window import copy_rows, day_text, integer
from celerytrail.sql.snapshot import Connection
from celerytrail.sql.verification import Bad, Fault


def settle_counting(connection: Connection) -> None:
    """Let the rest of a transaction read tables without their indexes. Raises psycopg.Error."""
    connection.execute(queries("verify")["settle_counting"])


def miscounted(
    connection: Connection,
    heads: Mapping[int, tuple[int, bytes]],
    only: int | None,
    bad: Sequence[Bad],
) -> list[Bad]:
    """Return rows and links that are there and were not read, but for batches and chains named in ``bad``.

    ``heads`` maps the chains that were read to their last (n, hash), ``only`` is the one that was to
    be. Raises psycopg.Error.
    """
    chains = {item.chain for item in bad}
    found = []
    for fields in copy_rows(connection, "outside_counted_links"):
        chain, count = integer(fields[0]), integer(fields[1])
        n = heads[chain][0] if chain in heads else 0
        if count != n and chain not in chains and only in (None, chain):
            text = f"the table has {count} links, its index leads to {n}"
            found.append(Bad(Fault.HEAD, chain, n, detail=text))
    batches = {item.batch_id for item in bad}
    for fields in copy_rows(connection, "outside_counted", {"chain": only}):
        batch_id = None if fields[2] is None else integer(fields[2])
        if batch_id is None or batch_id not in batches:
            found.append(_rows(fields, batch_id))
    return found


def _rows(fields: Sequence[bytes | None], batch_id: int | None) -> Bad:
    count, claimed = integer(fields[4]), integer(fields[5])
    if batch_id is None:
        fault, text = Fault.ROW_UNBLOCKED, f"{count} rows of no batch"
    elif fields[6] == b"\x01":
        fault, text = Fault.ROW_ALTERED, f"{count} rows are in the partition of another day"
    else:
        fault = Fault.ROW_ADDED if count > claimed else Fault.ROW_MISSING
        text = f"{count} rows of {claimed}; an index does not lead to each of them"
    return Bad(
        fault,
        None if fields[0] is None else integer(fields[0]),
        None if fields[1] is None else integer(fields[1]),
        batch_id,
        None if fields[3] is None else day_text(integer(fields[3])),
        detail=text,
    )
