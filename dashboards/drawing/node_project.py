"""The Node project that draws: its packages are installed and its page is bundled when needed."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from celerytrail.dashboards.drawing.errors import DrawingError, InstallFailed
from celerytrail.dashboards.drawing.server import NODE_PROJECT

_CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NO_CHROMIUM: Final = f"no Chromium here: one of {', '.join(_CHROMIUM)} has to be in the PATH"
_INSTALL_SECONDS: Final = 600
_BUNDLE_SECONDS: Final = 120


def missing() -> str | None:
    """Say what this machine lacks to draw, or None."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"no Node.js here: drawing dashboards needs {program}, of Node.js 20 or newer"
    if not (NODE_PROJECT / "package.json").exists():
        return "drawing dashboards needs a checkout of celerytrail: the wheel has no Node project"
    if _chromium() is None:
        return _NO_CHROMIUM
    return None


def chromium() -> str:
    """Return the path of the browser. Raises DrawingError when there is none."""
    found = _chromium()
    if found is None:
        raise DrawingError(_NO_CHROMIUM)
    return found


def ready() -> None:
    """Install the packages as package-lock.json says and bundle the page, unless that was done.

    Safe to be called by several processes at once.

    Raises:
        InstallFailed: npm could not install the packages; it needs a network for that once.
        DrawingError: something is missing, or the bundler failed.
    """
    lacking = missing()
    if lacking is not None:
        raise DrawingError(lacking)
    with _only_one_process():
        lock = _digest([NODE_PROJECT / "package-lock.json"])
        installed = NODE_PROJECT / "node_modules" / ".celerytrail-lock"
        if _read(installed) != lock:
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            try:
                _run(command, _INSTALL_SECONDS)
            except DrawingError as error:
                raise InstallFailed(f"npm could not install what draws: {error}") from error
            installed.write_text(lock)
        sources = [*sorted((NODE_PROJECT / "src").rglob("*.js*")), NODE_PROJECT / "bundle.mjs"]
        bundled = NODE_PROJECT / "dist" / ".celerytrail-sources"
        wanted = lock + _digest(sources)
        if _read(bundled) != wanted:
            _run(["node", "bundle.mjs"], _BUNDLE_SECONDS)
            bundled.write_text(wanted)


def _chromium() -> str | None:
    return next(filter(None, map(shutil.which, _CHROMIUM)), None)


@contextmanager
def _only_one_process() -> Iterator[None]:
    with (NODE_PROJECT / "package-lock.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], seconds: float) -> None:
    try:
        done = subprocess.run(
            command, cwd=NODE_PROJECT, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DrawingError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise DrawingError(f"{' '.join(command)} failed in {NODE_PROJECT}: {said}")


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None
