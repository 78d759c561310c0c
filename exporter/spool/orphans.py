"""Files that belong to a segment which is gone: left by a shipper that was killed while deleting."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from celerytrail.exporter.spool.segment import ACK_SUFFIX, SEGMENT_SUFFIX, WRAP_SUFFIX

_BESIDE = re.compile(
    rf"([0-9a-f]{{32}}-[0-9]{{6,}})({re.escape(ACK_SUFFIX)}|{re.escape(WRAP_SUFFIX)})(\.tmp)?"
)


def remove_orphans(directory: Path) -> int:
    """Delete cursors and wraps without their segment, and unfinished ones; return how many.

    The caller holds the shipper's lock: nobody else writes these files. What cannot be deleted, or
    a directory that cannot be read, is left as it is.
    """
    try:
        names = frozenset(os.listdir(directory))
    except OSError:
        return 0
    removed = 0
    for name in names:
        match = _BESIDE.fullmatch(name)
        if match and (match[3] or match[1] + SEGMENT_SUFFIX not in names):
            with contextlib.suppress(OSError):
                os.unlink(directory / name)
                removed += 1
    return removed
