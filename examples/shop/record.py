"""What the shop writes down about itself: one line of JSON for each task sent and each run begun.

It is a file of the shop's own, so that whoever counts tasks has something to compare with. The file
is named by ``SHOP_RECORD``; without it nothing is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

SENT, RAN = "sent", "ran"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the task ``id`` was ``sent``, or an attempt of it ``ran``."""

    what: str
    id: str
    task: str
    retries: int = 0


def write_down(entry: Entry) -> None:
    """Append a line in one write, which no other process can split."""
    path = os.environ.get("SHOP_RECORD")
    if not path:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(asdict(entry)) + "\n").encode())
    finally:
        os.close(descriptor)


def read_record(path: Path) -> Iterator[Entry]:
    """Yield what was written down so far, without a last line that is still being written."""
    if not path.exists():
        return
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield Entry(**json.loads(line))
