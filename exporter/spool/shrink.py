"""Making room on a full disk out of segments that were delivered but cannot be deleted yet."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from celerytrail.exporter.spool.segment import WRAP_SUFFIX
from celerytrail.exporter.spool.segment_state import list_segments, look_at


def shrink_segments(directory: Path, stream_id: str) -> int:
    """Cut the segments of a stream that ended and was delivered down to their headers.

    The headers, with the cursors, still tell what is to be reported of the stream. Returns how many
    bytes were cut off; what cannot be cut is left. The caller holds the shipper's lock. Raises
    SpoolDirectoryError when the directory cannot be read.
    """
    freed = 0
    for name, number, path in list_segments(directory):
        if name != stream_id:
            continue
        state = look_at(path, name, number)
        with contextlib.suppress(OSError):
            path.with_suffix(WRAP_SUFFIX).unlink(missing_ok=True)
            if state is not None and state.header is not None and state.bytes > state.first_record:
                os.truncate(path, state.first_record)
                freed += state.bytes - state.first_record
    return freed
