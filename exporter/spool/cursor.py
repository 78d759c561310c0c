"""The ``.ack`` file beside a segment: how far it is acknowledged, and where its stream stands there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.atomic_file import replace_file


@dataclass(frozen=True, slots=True)
class Cursor:
    """Bytes of a segment that are acknowledged; last number, torn bytes and end of its stream there."""

    offset: int
    last_seq: int
    torn_bytes: int
    closed: bool

    def write(self, path: Path) -> None:
        """Replace the file. Raises OSError."""
        line = f"{self.offset} {self.last_seq} {self.torn_bytes} {int(self.closed)}\n"
        replace_file(path, line.encode())

    @classmethod
    def read(cls, path: Path) -> Cursor | None:
        """Return what the file says, None when there is none or it was lost in a crash.

        Without it everything is sent again, which is no loss.
        """
        try:
            offset, last_seq, torn_bytes, closed = map(int, path.read_text("ascii").split())
        except (OSError, ValueError):
            return None
        return cls(offset, last_seq, torn_bytes, bool(closed)) if offset >= 0 else None
