"""Read one place of notes again and again, each time only what is new.

A checkpointer adds a note every few seconds, and each one costs a signature to check. What was found good
is read once more when the caller wants everything, or when the place is not what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from celerytrail.sql.checkpoint.checkpoint_file import (
    Contents,
    Entry,
    is_directory,
    note_files,
    read_file,
    read_notes,
)
from celerytrail.sql.checkpoint.errors import FileUnusable
from celerytrail.sql.checkpoint.note_keys import VerifierKey
from celerytrail.sql.checkpoint.statement import Checkpoint, KeyChange
from celerytrail.sql.checkpoint.trust import Place

_TAIL_BYTES = 4096

Age = tuple[int, datetime]
"""The epoch and the time of a note, in whose order notes are made."""


@dataclass(frozen=True, slots=True)
class _Read:
    """How far a place was read: a file up to ``end``, whose last bytes are ``tail``, or these files.

    ``carried`` are the notes of that part which say how to read later ones.
    """

    carried: tuple[Entry, ...]
    newest: Age | None
    end: int = 0
    tail: bytes = b""
    files: frozenset[Path] = frozenset()


class PlaceReader:
    """Reads a checkpoint file or a directory of notes, and remembers how far it was good."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._good: _Read | None = None
        self._last: tuple[Contents, _Read] | None = None
        self._newest: Age | None = None

    def read(self, *, everything: bool) -> Place:
        """Return what is new since it was good, after the notes that it follows; or everything.

        Raises FileUnusable.
        """
        before = None if everything else self._good
        self._last = None
        if is_directory(self.path):
            self._last = _directory(self.path, before)
        else:
            self._last = _file(self.path, before)
        return Place(self.path, self._last[0])

    def went_back(self) -> str | None:
        """Return what is wrong where the newest note is older than one that was good, else None."""
        if self._last is None or self._newest is None:
            return None
        now = self._last[1].newest
        if now is not None and now >= self._newest:
            return None
        found = "none" if now is None else f"of {_said(now)}"
        return f"{self.path} went back: its newest checkpoint was of {_said(self._newest)}, now it is {found}"

    def good(self, witness: VerifierKey | None) -> None:
        """Remember what was read last: all of it is believed, and on its chain."""
        if self._last is None:
            return
        contents, read = self._last
        self._good = _Read(
            _carried(contents.entries, witness), read.newest, read.end, read.tail, read.files
        )
        self._newest = read.newest

    def forget(self) -> None:
        """Read everything the next time."""
        self._good = None


def _file(path: Path, before: _Read | None) -> tuple[Contents, _Read]:
    if before is not None and (not before.tail or _bytes_at(path, before) != before.tail):
        before = None
    start = before.end if before is not None else 0
    found = read_file(path, start)
    end = max((entry.end for entry in found.entries), default=start)
    contents, newest = _after(before, found.entries, found.torn)
    at = _Read((), newest, end)
    tail = _bytes_at(path, at, min(end, _TAIL_BYTES))
    return contents, _Read((), newest, end, tail)


def _directory(path: Path, before: _Read | None) -> tuple[Contents, _Read]:
    files = note_files(path)
    if before is not None and not before.files <= set(files):
        before = None
    known = before.files if before is not None else frozenset()
    found = read_notes(path, [file for file in files if file not in known])
    whole = {file: entry for file, entry in found.items() if entry is not None}
    contents, newest = _after(before, list(whole.values()), len(found) - len(whole))
    return contents, _Read((), newest, files=known | set(whole))


def _after(
    before: _Read | None, entries: Sequence[Entry], torn: int
) -> tuple[Contents, Age | None]:
    carried = before.carried if before is not None else ()
    ages = [_age(entry) for entry in entries]
    ages.append(before.newest if before is not None else None)
    newest = max((age for age in ages if age is not None), default=None)
    return Contents((*carried, *entries), torn), newest


def _carried(entries: Sequence[Entry], witness: VerifierKey | None) -> tuple[Entry, ...]:
    """Return changes of keys, epochs, the last checkpoint, and the last one that the witness signed."""
    kept = [
        number
        for number, entry in enumerate(entries)
        if not isinstance(entry.statement, Checkpoint)
    ]
    checkpoints = [
        number for number, entry in enumerate(entries) if isinstance(entry.statement, Checkpoint)
    ]
    kept += checkpoints[-1:]
    if witness is not None:
        cosigned = (
            number for number in reversed(checkpoints) if witness.signed(entries[number].note)
        )
        kept += [number for number in (next(cosigned, None),) if number is not None]
    return tuple(entries[number] for number in sorted(set(kept)))


def _age(entry: Entry) -> Age | None:
    said = entry.statement
    return None if isinstance(said, KeyChange) else (said.epoch, said.time)


def _said(age: Age) -> str:
    epoch, time = age
    return f"{time.isoformat(timespec='seconds')}, epoch {epoch}"


def _bytes_at(path: Path, read: _Read, length: int | None = None) -> bytes:
    """Return the bytes of a file right before where it was read to."""
    length = len(read.tail) if length is None else length
    try:
        with path.open("rb") as file:
            file.seek(read.end - length)
            return file.read(length)
    except OSError as error:
        raise FileUnusable(f"cannot read the checkpoint file {path}: {error.strerror}") from error
