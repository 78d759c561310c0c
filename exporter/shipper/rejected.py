"""The folder of what a receiver refused for good: redacted bytes, bounded, for people to look at."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import time
from hashlib import sha256
from pathlib import Path

from celerytrail.exporter.spool.atomic_file import UNFINISHED_SUFFIX, replace_file

_log = logging.getLogger(__name__)

FOLDER = "rejected"
SUFFIX = ".otlp.gz"


def kept_in(spool: Path) -> tuple[int, int]:
    """Return number and bytes of the refused requests that lie in a spool directory."""
    try:
        sizes = [
            entry.stat(follow_symlinks=False).st_size
            for entry in os.scandir(spool / FOLDER)
            if entry.name.endswith(SUFFIX)
        ]
    except OSError:
        return 0, 0
    return len(sizes), sum(sizes)


class RejectedFolder:
    """Keeps the requests that were refused, the newest within ``max_bytes``."""

    def __init__(self, spool: Path, max_bytes: int) -> None:
        self._folder = spool / FOLDER
        self._max_bytes = max_bytes

    def sweep(self) -> None:
        """Delete unfinished files that a killed shipper left; the caller holds the shipper's lock."""
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._folder):
                if entry.name.endswith(UNFINISHED_SUFFIX):
                    os.unlink(entry.path)

    def keep(self, signal: str, status: int, request: bytes) -> None:
        """Store an encoded request; what cannot be stored is logged, and that is all."""
        data = gzip.compress(request, 6, mtime=0)
        name = f"{time.time_ns()}-{signal}-{status}-{sha256(data).hexdigest()[:8]}{SUFFIX}"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if self._make_room(len(data)):
                replace_file(self._folder / name, data)
        except OSError as exc:
            _log.error("a refused request cannot be kept in %s: %s", self._folder, exc.strerror)

    def _make_room(self, size: int) -> bool:
        if size > self._max_bytes:
            return False
        kept = sorted(
            (entry.name, entry.stat(follow_symlinks=False).st_size)
            for entry in os.scandir(self._folder)
            if entry.name.endswith(SUFFIX)
        )
        total = sum(length for _, length in kept)
        for name, length in kept:  # names begin with the time: the oldest first
            if total + size <= self._max_bytes:
                break
            (self._folder / name).unlink(missing_ok=True)
            total -= length
        return True
