"""What is in the ledger's tables without being part of the chain."""

from __future__ import annotations

from celerytrail.sql.outside_window import copy_rows, day_text, integer
from celerytrail.sql.pinpoint import id_text
from celerytrail.sql.snapshot import Connection
from celerytrail.sql.verification import Bad, Fault

_FAULTS = {
    b"row": Fault.ROW_UNBLOCKED,
    b"leaves": Fault.LEAVES_UNBLOCKED,
    b"block": Fault.BLOCK_UNLINKED,
}


def orphans(connection: Connection, *, whole: bool, first_batch: int | None) -> list[Bad]:
    """Return rows without a block, leaf groups without a block, blocks without a link.

    Of all batches with ``whole``; else of those from ``first_batch`` on, or, where that is None,
    beyond the last batch of the chain.
    """
    reach = {"whole": whole, "first_batch": first_batch}
    return [
        Bad(
            _FAULTS[fields[0] or b""],
            batch_id=integer(fields[1]),
            day=None if fields[2] is None else day_text(integer(fields[2])),
            row_id=None if fields[3] is None else id_text(fields[3]),
            detail=(fields[4] or b"").decode(),
        )
        for fields in copy_rows(connection, "outside_orphans", reach)
    ]
