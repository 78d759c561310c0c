"""Name the rows that differ from their block, thanks to the leaves that the ledger keeps."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from celerytrail.sql.chain_hash import HASH_BYTES, Group, group_root
from celerytrail.sql.verification import Fault


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored leaf group of one day of one batch."""

    count: int
    root: bytes
    leaves: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """One fault of a group; ``position`` counts its rows from 1."""

    fault: Fault
    row_id: str | None = None
    position: int | None = None
    detail: str = ""


def group_faults(
    group: Group,
    rows: Sequence[tuple[bytes, bytes]],
    kept: Kept | None,
    dropped: bool,
    *,
    rows_stay: bool = False,
) -> list[Found]:
    """Return what is wrong with one day of one batch, given what its block says of it.

    ``rows`` are (id, leaf) of the stored rows in order of id. ``dropped`` says that retention took
    the day: then nothing of it may be left but, with ``rows_stay``, the rows, which are actions.
    """
    leaves = b"".join(leaf for _, leaf in rows)
    same = len(rows) == group.count and group_root(leaves) == group.root
    faults: list[Found] = []
    if dropped:
        left = 0 if rows_stay else len(rows)
        if left or kept is not None:
            text = f"rows left: {left}, leaf groups left: {int(kept is not None)}"
            faults.append(Found(Fault.PARTLY_DROPPED, detail=text))
        if not rows_stay or (same and kept is None):
            return faults
    if kept is None:
        faults.append(Found(Fault.LEAVES_MISSING))
    elif (kept.count, kept.root, group_root(kept.leaves)) != (group.count, group.root, group.root):
        faults.append(Found(Fault.LEAVES))
        kept = None
    if same:
        return faults
    if not rows:
        return [*faults, Found(Fault.ROW_MISSING, detail=f"all {group.count} rows of the day")]
    if kept is None:
        text = f"{len(rows)} rows of {group.count}; without true leaves no single one can be named"
        return [*faults, Found(Fault.ROW_ALTERED, detail=text)]
    return faults + _against(kept.leaves, rows)


def _against(leaves: bytes, rows: Sequence[tuple[bytes, bytes]]) -> list[Found]:
    true = [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]
    spare = Counter(leaf for _, leaf in rows)
    missing = []
    for position, leaf in enumerate(true, 1):
        if spare[leaf]:
            spare[leaf] -= 1
        else:
            missing.append(position)
    wanted = Counter(true)
    strange = []
    for position, (key, leaf) in enumerate(rows, 1):
        if wanted[leaf]:
            wanted[leaf] -= 1
        else:
            strange.append((position, key))
    pairs = min(len(missing), len(strange))
    found = [
        Found(Fault.ROW_ALTERED if at < pairs else Fault.ROW_ADDED, id_text(key), position)
        for at, (position, key) in enumerate(strange)
    ]
    for position in missing[pairs:]:
        # Rows are in order of id, so the one before tells a reader where to look in a backup.
        before = rows[position - 2][0] if 2 <= position <= len(rows) + 1 else None
        text = f"after {id_text(before)}" if before else ""
        found.append(Found(Fault.ROW_MISSING, None, position, text))
    return found


def id_text(key: bytes) -> str:
    """Return a row's id as people write it."""
    return str(uuid.UUID(bytes=key)) if len(key) == 16 else key.hex()
