"""What lies in a spool, read without the help of what is tested: streams and numbers."""

from __future__ import annotations

import marshal
from pathlib import Path

from celerytrail.exporter.spool.segment import Frame, read_header, scan


def captured_in(spool: Path) -> set[tuple[str, int]]:
    """Return (stream id, number) of every whole record."""
    found = set()
    for path in spool.glob("*.seg"):
        data = path.read_bytes()
        header, first = read_header(data)
        for item in scan(data, first):
            if isinstance(item, Frame):
                found.add((header.stream_id, marshal.loads(item.payload)[1]))
    return found
