"""Going on in a segment that was delivered, where there is no room for another one.

A shipper deletes no segment that its writer has open. When the disk, or the bound, is full of the
segments of living processes, all of them delivered, room comes from nowhere else.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.segment import ACK_SUFFIX, WRAP_SUFFIX, Frame, scan


def reuse_segment(
    path: Path, descriptor: int, unnamed: Path, successor: Path, first: bytes
) -> bool:
    """Make the open segment ``path`` the one named ``successor``, if all of it was delivered.

    ``descriptor`` is the writer's, whose lock stays. ``first`` are the first bytes of the successor;
    it gets its name last, and goes by ``unnamed`` until then. Returns False when something in the
    segment was not delivered. Raises OSError; then the writer has no segment.
    """
    cursor = Cursor.read(path.with_suffix(ACK_SUFFIX))
    size = os.fstat(descriptor).st_size
    if cursor is None or size < len(first) or not _nothing_after(path, cursor.offset):
        return False
    os.rename(path, unnamed)
    for suffix in (ACK_SUFFIX, WRAP_SUFFIX):
        with contextlib.suppress(OSError):
            path.with_suffix(suffix).unlink()
    # Over the bytes that are there: a full disk has no other ones. Not by the writer's descriptor,
    # which appends.
    other = os.open(unnamed, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(other, first, 0)
        os.ftruncate(other, len(first))
    finally:
        os.close(other)
    os.rename(unnamed, successor)
    return True


def _nothing_after(path: Path, offset: int) -> bool:
    # The end of a record that found no room is no record.
    with path.open("rb") as file:
        file.seek(offset)
        return not any(isinstance(item, Frame) for item in scan(file.read(), 0))
