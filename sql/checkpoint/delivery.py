"""Brings each note of the checkpoint file to the other places, in order, each at its own pace.

How far a place has come stands in a small file beside the checkpoint file, so a killed process
leaves nothing out: at worst a place gets a note twice.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from celerytrail.sql.checkpoint.checkpoint_file import read_file
from celerytrail.sql.checkpoint.destinations.destination import Destination
from celerytrail.sql.checkpoint.errors import DestinationDown, FileUnusable

OK = "ok"
CURSORS_SUFFIX = ".cursors"


class Delivery:
    """Delivers one checkpoint file; ``seconds`` bounds what one round spends on one place."""

    def __init__(self, path: Path, destinations: Sequence[Destination], seconds: float) -> None:
        self._path = path
        self._destinations = tuple(destinations)
        self._seconds = seconds
        self._cursor_path = path.with_name(path.name + CURSORS_SUFFIX)
        self._cursors = self._read_cursors()

    def deliver(self) -> dict[str, str]:
        """Deliver what is waiting, and return what became of it at each place: ``ok``, or why not.

        Raises FileUnusable where the checkpoint file cannot be read or a cursor not be written.
        """
        said = {"file": OK}
        for destination in self._destinations:
            said[destination.name] = self._deliver_to(destination)
        return said

    def close(self) -> None:
        """Close all destinations."""
        for destination in self._destinations:
            destination.close()

    def _deliver_to(self, destination: Destination) -> str:
        deadline = time.monotonic() + self._seconds
        start = self._cursors.get(destination.name, 0)
        entries = read_file(self._path, start).entries
        said = OK
        for number, entry in enumerate(entries):
            left = len(entries) - number
            if time.monotonic() > deadline:
                said = f"{left} notes are waiting"
                break
            try:
                destination.publish(entry)
            except DestinationDown as error:
                said = f"{error}; {left} notes are waiting"
                break
            self._cursors[destination.name] = entry.end
        if self._cursors.get(destination.name, 0) != start:
            self._write_cursors()
        return said

    def _read_cursors(self) -> dict[str, int]:
        try:
            found = json.loads(self._cursor_path.read_text("utf-8"))
            size = self._path.stat().st_size
            return {name: int(end) for name, end in found.items() if 0 <= int(end) <= size}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError):
            # Everything is delivered again, which every place bears.
            return {}

    def _write_cursors(self) -> None:
        half = self._cursor_path.with_name(f"{self._cursor_path.name}.new")
        try:
            with half.open("w", encoding="utf-8") as file:
                json.dump(self._cursors, file)
                file.flush()
                os.fsync(file.fileno())
            half.replace(self._cursor_path)
        except OSError as error:
            raise FileUnusable(f"cannot write {self._cursor_path}: {error.strerror}") from error
