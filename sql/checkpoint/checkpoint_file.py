"""The checkpoint file: one signed note a line, in JSON, only ever added to.

A line is ``{"note": "..."}``. Half a line, which a crash or a full disk leaves, is told from a whole
one and skipped; the next one begins on a line of its own. So nothing is ever taken out of the file,
which may be on a medium that does not allow it.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from celerytrail.sql.checkpoint import signed_note
from celerytrail.sql.checkpoint.errors import FileUnusable, NotANote
from celerytrail.sql.checkpoint.signed_note import SignedNote
from celerytrail.sql.checkpoint.statement import KeyChange, Statement, parse_statement

TAIL_BYTES = 2**16
"""How much of the end is read at first to find the newest notes."""

REPEATED_BYTES = 2**22
"""How far back a note is looked for that may be in the file already."""

LOCK_SECONDS = 10.0
"""How long another process may be writing the file: that takes one round."""

NOTE_SUFFIX = ".note"


@dataclass(frozen=True, slots=True)
class Entry:
    """A note, what it says, and the offset in the file right after it."""

    note: SignedNote
    statement: Statement
    end: int = 0


@dataclass(frozen=True, slots=True)
class Contents:
    """All notes of a place in order, and how many lines of it are not whole notes."""

    entries: tuple[Entry, ...]
    torn: int


def read_place(path: Path) -> Contents:
    """Return the notes of a checkpoint file, or of a directory of ``.note`` files in order of name.

    Raises FileUnusable where it cannot be read.
    """
    if not is_directory(path):
        return read_file(path)
    notes = note_files(path)
    found = [one for one in read_notes(path, notes).values() if one is not None]
    return Contents(tuple(found), len(notes) - len(found))


def is_directory(path: Path) -> bool:
    """Return whether a place is a directory of notes. Raises FileUnusable where nobody may look."""
    try:
        return path.is_dir()
    except OSError as error:
        raise FileUnusable(f"cannot read the checkpoint file {path}: {error.strerror}") from error


def note_files(path: Path) -> list[Path]:
    """Return the files of a directory that may hold a note, in order of name. Raises FileUnusable."""
    try:
        return sorted(path.rglob(f"*{NOTE_SUFFIX}"))
    except OSError as error:
        raise FileUnusable(f"cannot read the notes in {path}: {error.strerror}") from error


def read_notes(path: Path, files: Iterable[Path]) -> dict[Path, Entry | None]:
    """Return the note of each of these files of a directory, None where it is not a whole one.

    Raises FileUnusable.
    """
    found: dict[Path, Entry | None] = {}
    try:
        for file in files:
            try:
                found[file] = _entry(file.read_bytes())
            except NotANote:
                found[file] = None
    except OSError as error:
        raise FileUnusable(f"cannot read the notes in {path}: {error.strerror}") from error
    return found


def read_file(path: Path, offset: int = 0) -> Contents:
    """Return the notes of a checkpoint file after an offset, an ``Entry.end``. Raises FileUnusable."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return _read(file, offset)
    except OSError as error:
        raise FileUnusable(f"cannot read the checkpoint file {path}: {error.strerror}") from error


@contextmanager
def opened(path: Path, *, begin: bool) -> Iterator[CheckpointFile]:
    """Open a checkpoint file for its one writer; others who would write wait a little until it is closed.

    ``begin`` makes a file that is not there, and takes one that is empty. Raises FileUnusable.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if begin else 0)
    try:
        with os.fdopen(os.open(path, flags, 0o644), "rb+", buffering=0) as file:
            _lock(path, file)
            if not begin and not os.fstat(file.fileno()).st_size:
                raise FileUnusable(
                    f"the checkpoint file {path} is empty: what was signed before is known by it. Put it"
                    " back, or say --begin where this is the first start"
                )
            yield CheckpointFile(path, file)
    except FileNotFoundError as error:
        raise FileUnusable(
            f"there is no checkpoint file {path}: what was signed before is known by it. Put it back,"
            " or say --begin where this is the first start"
        ) from error
    except OSError as error:
        raise FileUnusable(f"cannot write the checkpoint file {path}: {error.strerror}") from error


def _lock(path: Path, file: IO[bytes]) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise FileUnusable(
                    f"another process is writing the checkpoint file {path}: one signs at a time"
                ) from error
            time.sleep(0.05)


class CheckpointFile:
    """An open checkpoint file whose lock is held; made by ``opened``."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file

    def newest(self) -> tuple[Entry, ...]:
        """Return notes from the end of the file, in order, back to one that says where chains stood.

        Raises FileUnusable where the file is not empty and has no such note.
        """
        size = self._file.seek(0, os.SEEK_END)
        length = TAIL_BYTES
        while True:
            start = max(0, size - length)
            tail = io.BytesIO(os.pread(self._file.fileno(), size - start, start))
            if start:
                # Very likely in the middle of a line.
                tail.readline()
            found = _read(tail, start + tail.tell()).entries
            if any(not isinstance(entry.statement, KeyChange) for entry in found):
                return found
            if not start:
                break
            length *= 4
        if size:
            raise FileUnusable(f"{self.path} holds no checkpoint: it is no checkpoint file")
        return ()

    def ends_with(self, note: SignedNote) -> bool:
        """Return whether a note is among the newest ones of the file, as it is written here."""
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - REPEATED_BYTES)
        return _encoded(note) in os.pread(self._file.fileno(), size - start, start)

    def append(self, note: SignedNote) -> None:
        """Add a note; it is on disk when this returns. Raises FileUnusable."""
        line = _encoded(note)
        try:
            size = self._file.seek(0, os.SEEK_END)
            if size:
                self._file.seek(size - 1)
                if self._file.read(1) != b"\n":
                    line = b"\n" + line
            written = self._file.write(line)
            os.fsync(self._file.fileno())
        except OSError as error:
            raise FileUnusable(
                f"cannot write the checkpoint file {self.path}: {error.strerror}"
            ) from error
        if written != len(line):
            raise FileUnusable(
                f"the checkpoint file {self.path} took half a note: is the disk full?"
            )


def _read(file: IO[bytes], end: int) -> Contents:
    """Read lines from where the file is, which is ``end`` bytes from the start of the whole."""
    entries, torn = [], 0
    for line in file:
        end += len(line)
        if line == b"\n":
            continue
        try:
            if not line.endswith(b"\n"):
                raise NotANote("half a line")
            said = json.loads(line)
            if not isinstance(said, dict) or set(said) != {"note"}:
                raise NotANote("a line of a checkpoint file is {'note': '...'}")
            found = _entry(str(said["note"]).encode())
        except (ValueError, NotANote, RecursionError):
            torn += 1
            continue
        entries.append(Entry(found.note, found.statement, end))
    return Contents(tuple(entries), torn)


def _encoded(note: SignedNote) -> bytes:
    return json.dumps({"note": str(note)}, ensure_ascii=False).encode() + b"\n"


def _entry(data: bytes) -> Entry:
    note = signed_note.parse(data)
    return Entry(note, parse_statement(note.text))
