"""The end of the shipper's log, for people who ask why nothing arrives."""

from __future__ import annotations

import os
from pathlib import Path

from celerytrail.exporter.spool.directory import SHIPPER_LOG

_TAIL_BYTES = 8 * 1024
_LINE_LENGTH = 300


def last_lines(directory: Path, count: int) -> tuple[str, ...]:
    """Return the last ``count`` lines of a spool's shipper log, none when there is no log to read."""
    try:
        with (directory / SHIPPER_LOG).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
            text = log.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ()
    # A terminal would obey control characters.
    lines = ("".join(c if c.isprintable() else " " for c in line) for line in text.splitlines())
    return tuple(line[:_LINE_LENGTH] for line in lines if line.strip())[-count:]
