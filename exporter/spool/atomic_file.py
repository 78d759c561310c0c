"""Replacing a small file in one step."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

UNFINISHED_SUFFIX = ".tmp"


def replace_file(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Replace a file of mode 0600 in one step: a reader sees the old or the new content.

    With ``durable`` the content is on the disk when this returns. Raises OSError.
    """
    unnamed = path.with_name(path.name + UNFINISHED_SUFFIX)
    descriptor = os.open(
        unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            written = os.write(descriptor, content)
            if written != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(unnamed, path)
    except OSError:
        with contextlib.suppress(OSError):
            unnamed.unlink()
        raise
    if durable:
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
