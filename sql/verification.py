"""What a verification found, in words, numbers and an exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from celerytrail.sql.errors import SqlError

Progress = Callable[[int, int], None]
"""Called with the rows read so far and the rows there are."""

EXIT_CLEAN = 0
EXIT_BROKEN = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 3
EXIT_CANNOT = 4
EXIT_READ_MODEL = 5


class CannotVerify(SqlError):
    """The ledger could not be read, so nothing can be said of it. The text names what to do."""


class Verdict(Enum):
    """What may be claimed. ``value`` is what the ledger stores."""

    CLEAN = "ok"
    INTERNAL = "internal"
    BROKEN = "broken"

    @property
    def words(self) -> str:
        """Return the verdict as a person reads it."""
        return {
            Verdict.CLEAN: "CLEAN against the head kept outside",
            Verdict.INTERNAL: "INTERNAL CONSISTENCY ONLY",
            Verdict.BROKEN: "BROKEN",
        }[self]

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command."""
        return {
            Verdict.CLEAN: EXIT_CLEAN,
            Verdict.INTERNAL: EXIT_INTERNAL,
            Verdict.BROKEN: EXIT_BROKEN,
        }[self]


class Fault(Enum):
    """Each way in which a stored ledger can differ from the one that was committed.

    The values are the words both verifiers report, in SQL and in Python.
    """

    BEFORE_FIRST = "link before the first"
    GAP = "gap in the chain"
    NOT_NEXT = "link does not follow the one before it"
    TIME_BACK = "time of linking goes back"
    NO_BLOCK = "block missing"
    UNKNOWN = "unknown format or kind of block"
    BODY = "block altered"
    LINK = "link altered"
    HEAD = "head is not the last link"
    LEAVES_MISSING = "leaf group missing"
    LEAVES = "leaf group altered"
    ROW_ALTERED = "row altered"
    ROW_ADDED = "row added"
    ROW_MISSING = "row missing"
    PARTLY_DROPPED = "day partly dropped"
    BLOCK_UNLINKED = "block without link"
    LEAVES_UNBLOCKED = "leaf group without block"
    ROW_UNBLOCKED = "row without block"
    HIDDEN = "rows are hidden by a row-security policy"
    OFF_CHAIN = "head kept outside is not on the chain"
    OTHER_LEDGER = "another ledger than the head kept outside"
    NOTE = "note of a checkpoint file is not to be believed"
    CATALOG = "catalog differs from the migrations"


@dataclass(frozen=True, slots=True)
class Bad:
    """One thing that is wrong, as exactly as the kept leaves allow.

    ``position`` counts the rows of one day of one batch from 1, in the order of their ids.
    ``row_id`` is the event id, or the action id in a block of actions.
    """

    fault: Fault
    chain: int | None = None
    n: int | None = None
    batch_id: int | None = None
    day: str | None = None
    row_id: str | None = None
    position: int | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as an object without the fields that say nothing."""
        found = {
            "fault": self.fault.value,
            "chain": self.chain,
            "n": self.n,
            "batch_id": self.batch_id,
            "day": self.day,
            "row_id": self.row_id,
            "position": self.position,
            "detail": self.detail or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def __str__(self) -> str:
        places: tuple[tuple[str, object], ...] = (
            ("block", self.n if not self.chain else f"{self.n} of chain {self.chain}"),
            ("batch", self.batch_id),
            ("day", self.day),
            ("row", self.position),
            ("id", self.row_id),
        )
        if self.n is None:
            places = places[1:]
        where = ", ".join(f"{name} {value}" for name, value in places if value is not None)
        text = f"{self.fault.value}: {where}" if where else self.fault.value
        return f"{text} ({self.detail})" if self.detail else text


def in_order(found: Sequence[Bad]) -> tuple[Bad, ...]:
    """Return what is bad with the earliest place of each chain first, and orphans last."""
    return tuple(
        sorted(
            found,
            key=lambda bad: (
                bad.n is None,
                bad.chain or 0,
                bad.n or 0,
                bad.day or "",
                bad.position or 0,
                bad.batch_id or 0,
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class DroppedDay:
    """A day whose rows went by retention, announced by a chained action."""

    day: str
    groups: int
    rows: int
    by: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one way of verifying read and found.

    ``heads`` maps chain to its last (n, hash), ``chain_rows`` chain to how many of ``rows`` are its.
    """

    way: str
    from_n: dict[int, int]
    heads: dict[int, tuple[int, bytes]]
    blocks: int
    rows: int
    seconds: float
    bad: tuple[Bad, ...]
    dropped: tuple[DroppedDay, ...] = ()
    chain_rows: Mapping[int, int] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> float:
        """Return how fast it was, 0 where nothing was read."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as the command's JSON shows it."""
        return {
            "way": self.way,
            "blocks": self.blocks,
            "rows": self.rows,
            "seconds": round(self.seconds, 6),
            "rows_per_second": round(self.rows_per_second),
            "heads": [
                {
                    "chain": chain,
                    "from_n": self.from_n.get(chain, 0),
                    "n": n,
                    "hash": hash.hex(),
                    "rows": self.chain_rows.get(chain, 0),
                }
                for chain, (n, hash) in sorted(self.heads.items())
            ],
            "bad": [bad.as_json() for bad in self.bad],
            "dropped_days": [
                {"day": day.day, "groups": day.groups, "rows": day.rows, "by": day.by}
                for day in self.dropped
            ],
        }
