"""The spool directory: where it is by default, and whether it is safe to write into."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.spool.errors import SpoolDirectoryError
from celerytrail.exporter.spool.segment import parse_segment_name

SHIPPER_LOG = "shipper.log"
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_ADVICE = "set CELERYTRAIL_SPOOL_DIR to a directory that only this user can write"


@dataclass(frozen=True, slots=True)
class SpoolUsage:
    """How much lies in a spool directory: number of segments, and the sum of their sizes."""

    segments: int
    bytes: int


def deployment_slug(deployment: Deployment) -> str:
    """Return a directory name for a deployment: readable, and different for different ones."""
    parts = (deployment.namespace, deployment.service, deployment.environment)
    readable = "-".join(_UNSAFE.sub("_", part) for part in parts if part)[:80]
    return f"{readable}-{hashlib.sha256(deployment.label.encode()).hexdigest()[:8]}"


def default_directory(deployment: Deployment, environ: Mapping[str, str]) -> Path:
    """Return ``<state home>/celerytrail/<slug>`` by the XDG Base Directory specification.

    Raises SpoolDirectoryError when this user has no home directory.
    """
    state_home = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state_home):  # the specification says to ignore a relative one
        home = environ.get("HOME") or os.path.expanduser("~")
        if not os.path.isabs(home):
            raise SpoolDirectoryError(f"this user has no home directory: {_ADVICE}")
        state_home = os.path.join(home, ".local", "state")
    return Path(state_home) / "celerytrail" / deployment_slug(deployment)


def prepare_directory(directory: Path) -> None:
    """Create the spool directory when it is missing, and refuse one that is not safe.

    Safe is: no symbolic link, owned by the effective user, mode 0700 (others' bits are taken away),
    in a parent that not everybody can write. Raises SpoolDirectoryError naming the directory.
    """
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_parent(directory)
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        _check_owner(directory, found)
        if found.st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as exc:
        raise _unusable(directory, exc) from exc
    _check_writable(directory)


def check_directory(directory: Path) -> None:
    """Refuse what ``prepare_directory`` would refuse for this user, and change nothing.

    Raises SpoolDirectoryError naming the directory.
    """
    try:
        if directory.parent.is_dir():
            _check_parent(directory)
        try:
            found = directory.lstat()
        except FileNotFoundError:
            _check_can_be_made(directory)
            return
        _check_owner(directory, found)
    except OSError as exc:
        raise _unusable(directory, exc) from exc
    _check_writable(directory)


def _check_can_be_made(directory: Path) -> None:
    above = next(parent for parent in directory.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise SpoolDirectoryError(
            f"spool directory {directory} cannot be made in {above}; {_ADVICE}"
        )


def _check_parent(directory: Path) -> None:
    if directory.parent.stat().st_mode & stat.S_IWOTH:
        raise SpoolDirectoryError(
            f"spool directory {directory}: everybody can write its parent; {_ADVICE}"
        )


def _check_writable(directory: Path) -> None:
    if not os.access(directory, os.W_OK | os.X_OK):
        raise SpoolDirectoryError(f"spool directory {directory} cannot be written; {_ADVICE}")


def _unusable(directory: Path, exc: OSError) -> SpoolDirectoryError:
    reason = exc.strerror or type(exc).__name__
    return SpoolDirectoryError(f"spool directory {directory}: {reason}; {_ADVICE}")


def _check_owner(directory: Path, found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a directory"
        raise SpoolDirectoryError(f"spool directory {directory} is {what}; {_ADVICE}")
    if found.st_uid != os.geteuid():
        raise SpoolDirectoryError(
            f"spool directory {directory} belongs to uid {found.st_uid}, this process is uid {os.geteuid()}; {_ADVICE}"
        )


def spool_usage(directory: Path) -> SpoolUsage:
    """Count the segments in a spool directory and add up their sizes.

    A directory that is not there is empty. Raises SpoolDirectoryError when it cannot be read.
    """
    segments = total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if parse_segment_name(entry.name) is None:
                    continue
                try:
                    total += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # the shipper has just deleted it
                    continue
                segments += 1
    except FileNotFoundError:
        return SpoolUsage(0, 0)
    except OSError as exc:
        raise _unusable(directory, exc) from exc
    return SpoolUsage(segments, total)
