"""Compare heads that somebody kept outside with the chains as they are now."""

from __future__ import annotations

import uuid

from celerytrail.sql import chain_hash
from celerytrail.sql.head_file import Heads
from celerytrail.sql.outside_window import copy_rows, integer, off_chain_text
from celerytrail.sql.snapshot import Connection
from celerytrail.sql.verification import Bad, Fault


def off_chain(
    connection: Connection, kept: Heads, ledger_id: bytes, only: int | None = None
) -> list[Bad]:
    """Return each kept head that the ledger does not have at its place any more.

    A cut tail has no such link, a rewritten chain has another hash there. A chain that was not kept
    is named where it claims to be as old as what was kept. ``only`` is the one chain to look at,
    None for all.
    """
    if kept.ledger_id.bytes != ledger_id:
        found = str(uuid.UUID(bytes=ledger_id)) if len(ledger_id) == 16 else "none"
        text = f"kept {kept.ledger_id}, found {found}"
        return [Bad(Fault.OTHER_LEDGER, detail=text)]
    bad = []
    for head in kept.chains:
        if only is not None and head.chain != only:
            continue
        place = {"chain": head.chain, "n": head.n}
        if head.n == 0:
            stored: bytes | None = chain_hash.genesis_hash(ledger_id, head.chain)
        else:
            stored = next(
                (fields[0] for fields in copy_rows(connection, "outside_link", place)), None
            )
        if stored == head.hash:
            continue
        if stored is None:
            last = next(integer(row[0]) for row in copy_rows(connection, "outside_last_n", place))
            text = f"the chain ends at n {last}; kept {kept.time.isoformat()}"
        else:
            text = off_chain_text(head.hash, stored)
        bad.append(Bad(Fault.OFF_CHAIN, head.chain, head.n, detail=text))
    return bad + (_backdated(connection, kept, only) if kept.complete else [])


def _backdated(connection: Connection, kept: Heads, only: int | None) -> list[Bad]:
    """Return the chains that have links of the time when heads were kept, but had no head then."""
    stored = [integer(fields[0]) for fields in copy_rows(connection, "outside_chains")]
    bad = []
    for chain in stored if only is None else [only]:
        if kept.of(chain) is not None:
            continue
        reach = {"chain": chain, "until": kept.time}
        (fields,) = copy_rows(connection, "outside_linked_until", reach)
        if fields[0] is not None:
            text = (
                f"no such chain was kept at {kept.time.isoformat()}, and this link says it is older"
            )
            bad.append(Bad(Fault.OFF_CHAIN, chain, integer(fields[0]), detail=text))
    return bad
