"""Which days retention dropped, read from the actions that say so, outside of the database.

An announcement takes rows out of what a verifier misses. So it counts only when its own row is in a
block that is verified in the same run: one before what an incremental run reads may have been altered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from celerytrail.sql import chain_hash
from celerytrail.sql.hashed_rows import ACTIONS
from celerytrail.sql.outside_window import copy_rows, day_text, integer
from celerytrail.sql.snapshot import Connection
from celerytrail.sql.verification import Bad, Fault

_EPOCH_DAY = date(2000, 1, 1)
_DAY_MICROSECONDS = 86_400_000_000
_DAY = re.compile(r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]", re.ASCII)
_NAMES = [name for name, _ in ACTIONS.columns]


@dataclass(frozen=True, slots=True)
class AnnouncedDrop:
    """An action that says that a day was dropped, at its place in the chain.

    ``day`` is in days and ``linked_at`` in microseconds since 2000-01-01, ``leaf`` the hash of its row.
    """

    day: int
    linked_at: int
    actor: str
    chain: int
    n: int
    leaf: bytes


def announced_drops(connection: Connection, since: Mapping[int, int]) -> dict[int, AnnouncedDrop]:
    """Return for each day that was dropped the last action that says so, if it is read in this run.

    ``since`` maps a chain to the link after which it is read. Raises psycopg.Error.
    """
    newest: dict[int, tuple[tuple[int, int, int], AnnouncedDrop]] = {}
    for fields in copy_rows(connection, "outside_announced"):
        row = dict(zip(_NAMES, fields, strict=False))
        chain, n, linked_at = (integer(field) for field in fields[len(_NAMES) :])
        day = _day(row["target"])
        if day is None or day >= linked_at // _DAY_MICROSECONDS or not _is_drop(row):
            continue
        drop = AnnouncedDrop(
            day,
            linked_at,
            (row["actor"] or b"").decode("utf-8", "replace"),
            chain,
            n,
            chain_hash.leaf_hash(ACTIONS.oids, fields[: len(_NAMES)]),
        )
        place = linked_at, n, -int.from_bytes(row["action_id"] or b"", "big")
        if day not in newest or place > newest[day][0]:
            newest[day] = place, drop
    return {day: drop for day, (_, drop) in newest.items() if drop.n > since.get(drop.chain, 0)}


def _is_drop(row: Mapping[str, bytes | None]) -> bool:
    return row["verb"] == b"retention" and row["phase"] in (b"outcome", b"done")


def _day(target: bytes | None) -> int | None:
    """Return the day that the target of an action names, None where that is no day of a calendar."""
    if target is None or b"\\u" in target:
        return None
    try:
        found = json.loads(target)
        said = found.get("day") if isinstance(found, dict) else None
        if not isinstance(said, str) or not _DAY.fullmatch(said):
            return None
        return (date.fromisoformat(said) - _EPOCH_DAY).days
    except (ValueError, RecursionError):
        return None


def leaves_at(drops: Sequence[AnnouncedDrop]) -> dict[tuple[int, int], frozenset[bytes]]:
    """Return the leaves that have to be found, by (chain, n)."""
    found: dict[tuple[int, int], set[bytes]] = {}
    for drop in drops:
        found.setdefault((drop.chain, drop.n), set()).add(drop.leaf)
    return {place: frozenset(leaves) for place, leaves in found.items()}


def unsaid(used: Mapping[int, AnnouncedDrop], sure: set[bytes], bad: Sequence[Bad]) -> list[Bad]:
    """Return the drops of days whose announcement is in no block that was read, or in a faulty one."""
    told = {(item.chain, item.n) for item in bad}
    return [
        Bad(
            Fault.ROW_MISSING,
            drop.chain,
            drop.n,
            day=day_text(day),
            detail="the action that says that the day was dropped is not in this block",
        )
        for day, drop in sorted(used.items())
        if drop.leaf not in sure and (drop.chain, drop.n) not in told
    ]
