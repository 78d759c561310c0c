"""Which process is the shipper of a spool directory: the one that holds the lock of ``shipper.lock``."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from celerytrail.exporter.spool.errors import SpoolDirectoryError

LOCK_FILE = "shipper.lock"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class ShipperLock:
    """The lock that elects one shipper for a directory; the kernel frees it when the process ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_FILE
        self._fd = -1

    def acquire(self, wait_seconds: float = 1.0) -> bool:
        """Try to become the shipper, and return whether it worked.

        It tries for ``wait_seconds``, since a process that only looks whether the lock is held has
        it for a moment. Raises SpoolDirectoryError when the lock file cannot be opened.
        """
        if self._fd >= 0:
            return True
        fd = _open(self._path)
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(fd):
            if time.monotonic() >= deadline:
                os.close(fd)
                return False
            time.sleep(0.02)
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def shipper_is_running(directory: Path) -> bool:
    """Tell whether a living process holds the shipper's lock of this directory.

    Raises SpoolDirectoryError when the lock file cannot be opened.
    """
    fd = _open(directory / LOCK_FILE)
    try:
        return not _try_lock(fd)
    finally:
        os.close(fd)


def shipper_signature(directory: Path) -> str:
    """Return who holds, or last held, the shipper's lock, as it wrote into the file; '' if unknown."""
    try:
        return (directory / LOCK_FILE).read_text("utf-8", "replace").strip()[:100]
    except OSError:
        return ""


def looks_shipped(directory: Path) -> bool:
    """Tell the same without being able to write there: no file is made, the lock only shared.

    Whatever cannot be looked at counts as not shipped.
    """
    try:
        fd = os.open(directory / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS, 0o600)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise SpoolDirectoryError(
            f"{path}: {reason}; check the owner of the spool directory"
        ) from exc


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
