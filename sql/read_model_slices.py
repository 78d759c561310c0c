"""The slices in which the read model is compared with the ledger, and the file that keeps what was found in each.

A slice of a table is the rows whose key has the same remainder of a hash, so that what the ledger
gives for a row is in the slice of that row, however much comes meanwhile.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from celerytrail.sql.verification import CannotVerify

ROWS_IN_A_SLICE = 1_000_000
"""About how many rows of the ledger a slice of a table is made of."""

MOST_SLICES = 10_000
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as the ledger has it: its key, how it differs, and in which columns."""

    table: str
    key: str
    what: str
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"read model: {self.table} {self.key}: {self.what}{where}"

    def as_json(self) -> dict[str, Any]:
        """Return it as the command's JSON shows it."""
        return {
            "table": self.table,
            "key": self.key,
            "what": self.what,
            "columns": list(self.columns),
        }


@dataclass(frozen=True, slots=True)
class SliceFound:
    """What was found in slice ``number`` of ``of`` of a table: its rows, how many differ, the first of those.

    ``at`` is when that was (UTC), ``resumed`` that it was found by an earlier run.
    """

    table: str
    number: int
    of: int
    rows: int
    differing: int
    differences: tuple[Difference, ...]
    at: datetime
    resumed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as the command's JSON and the file show it, without the differences."""
        return {
            "table": self.table,
            "slice": self.number,
            "of": self.of,
            "rows": self.rows,
            "differing": self.differing,
            "at": self.at.isoformat(),
            "resumed": self.resumed,
        }


def how_many(rows: int, rows_in_a_slice: int = ROWS_IN_A_SLICE) -> int:
    """Return in how many slices each table is compared, given the rows of the ledger."""
    return min(MOST_SLICES, max(1, -(-rows // rows_in_a_slice)))


class SliceFile:
    """Keeps the result of each slice, one JSON object a line; the first line says of what.

    One that was broken off is gone on with: slices that were found in order are not read again,
    those that differed are. What it holds was found in other snapshots than this run's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[tuple[str, int], SliceFound] = {}

    def begin(self, ledger_id: uuid.UUID, made_by: str, slices: int) -> int:
        """Read what is there, or begin the file, and return how many slices a table has.

        ``made_by`` stands for the statements that say what the read model should be. Raises
        CannotVerify for a file of another ledger or version, and for one that cannot be read or written.
        """
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise CannotVerify(f"{self._path} cannot be read: {error.strerror}") from error
        # The last one may be torn: what it said is found again.
        whole = [line for line in lines if line.endswith(b"\n")]
        head = {"format": _FORMAT, "ledger_id": str(ledger_id), "made_by": made_by}
        if not whole:
            self._write([{**head, "slices": slices}], anew=True)
            return slices
        try:
            said, *results = (json.loads(line) for line in whole)
            of = int(said.pop("slices"))
            for one in results:
                kept = _kept(one)
                if kept.of == of:
                    self._found[kept.table, kept.number] = kept
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CannotVerify(
                f"{self._path} is no file of slices that were compared: name another one"
            ) from error
        if said != head:
            raise CannotVerify(
                f"{self._path} is of another ledger, or of another version of celerytrail: name a new file"
            )
        if len(whole) < len(lines):
            # A line of ours must not be written behind a part of one.
            self._write(
                [{**head, "slices": of}, *(one.as_json() for one in self._found.values())],
                anew=True,
            )
        return of

    def found(self, table: str, number: int) -> SliceFound | None:
        """Return what an earlier run found in a slice, None where it has to be read."""
        kept = self._found.get((table, number))
        return kept if kept is not None and not kept.differing else None

    def keep(self, found: SliceFound) -> None:
        """Write a result, on disk when this returns. Raises CannotVerify where it cannot be written."""
        self._write([found.as_json()], anew=False)

    def _write(self, objects: list[Mapping[str, Any]], *, anew: bool) -> None:
        try:
            with self._path.open("wb" if anew else "ab") as file:
                file.writelines(json.dumps(one).encode() + b"\n" for one in objects)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CannotVerify(f"{self._path} cannot be written: {error.strerror}") from error


def _kept(said: Mapping[str, Any]) -> SliceFound:
    return SliceFound(
        str(said["table"]),
        int(said["slice"]),
        int(said["of"]),
        int(said["rows"]),
        int(said["differing"]),
        (),
        datetime.fromisoformat(said["at"]).astimezone(timezone.utc),
        resumed=True,
    )
