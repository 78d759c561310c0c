"""A second checkpoint file, on a mount that the host of the first one cannot rewrite."""

from __future__ import annotations

from pathlib import Path

from celerytrail.sql.checkpoint.checkpoint_file import Entry, opened
from celerytrail.sql.checkpoint.errors import DestinationDown, FileUnusable


class FileCopy:
    """Adds each note to a file of its own, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Return the name of the destination."""
        return f"copy {self._path}"

    def publish(self, entry: Entry) -> None:
        """Add a note, unless it is among the newest already. Raises DestinationDown."""
        try:
            with opened(self._path, begin=True) as file:
                if not file.ends_with(entry.note):
                    file.append(entry.note)
        except FileUnusable as error:
            raise DestinationDown(str(error)) from error

    def close(self) -> None:
        """Nothing is held open."""
