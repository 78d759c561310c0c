"""Writes files that only their owner may read, such as private keys and passwords."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def create_private(path: Path, content: bytes) -> None:
    """Write a new file, mode 0600, on disk when this returns.

    Raises OSError where it exists, be it as a link, or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def open_to_others(path: Path) -> bool:
    """Return whether anybody but the owner may do anything with a file or directory.

    Raises OSError where it cannot be looked at.
    """
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
