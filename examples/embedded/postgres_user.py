"""As whom a Postgres server runs: it refuses to run as root."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.server_process import wrapped


def user_mode(data_dir: Path, bin_dir: Path) -> str:
    """Return the mode of the script ``unprivileged`` that the server has to run in.

    As root that is a user namespace where the kernel allows it, else the user nobody. Raises
    EmbeddedServerError when nobody could not enter one of the two directories.
    """
    if os.geteuid() != 0:
        return "same"
    if _namespaces_work():
        return "namespace"
    for path in (data_dir, bin_dir):
        closed = next(
            (p for p in (path, *path.parents) if p.exists() and not _open_to_all(p)), None
        )
        if closed is not None and closed != data_dir:
            raise EmbeddedServerError(
                f"Postgres does not run as root, and the user nobody cannot enter {closed}: "
                "choose a directory that it can enter, or run as an ordinary user"
            )
    return "nobody"


def _open_to_all(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o001)


@cache
def _namespaces_work() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    done = subprocess.run(
        wrapped(["/bin/sh", "-c", 'test "$(id -u)" != 0'], mode="namespace"),
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode == 0
