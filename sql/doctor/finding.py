"""What one check of the ledger's doctor found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


class Level(Enum):
    """How bad it is. ``UNSEEN`` says that the role of the connection may not look."""

    FAIL = "fail"
    WARN = "warn"
    UNSEEN = "unseen"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. ``found`` names object and value, never a secret."""

    level: Level
    found: str
    todo: str = ""
    check: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return asdict(self) | {"level": self.level.value}


Check = Callable[[Connection], Iterator[Finding]]
"""Looks at one thing and says of it at least that it is in order. Each is called outside of a
transaction; psycopg.Error may pass."""


def ok(found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Level.OK, found)


def warn(found: str, todo: str) -> Finding:
    """Return something that may cost records or proof later."""
    return Finding(Level.WARN, found, todo)


def fail(found: str, todo: str) -> Finding:
    """Return something because of which records or proof are lost now, or nothing is received."""
    return Finding(Level.FAIL, found, todo)
