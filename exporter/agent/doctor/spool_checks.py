"""The spool as the doctor sees it: whether it can be written, where it lies, how full it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from celerytrail.exporter.agent.doctor.finding import ERROR, INFO, WARNING, Finding, Recording
from celerytrail.exporter.spool.directory import check_directory
from celerytrail.exporter.spool.errors import SpoolError

NEAR = 0.8
LITTLE_BYTES = 64 * 1024 * 1024
_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|smb3|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|ocfs2|gfs2|ncpfs|"
    r"fuse\.(?:sshfs|glusterfs|ceph|s3fs|rclone|gcsfuse|blobfuse2?)"
)
_IN_MEMORY = ("tmpfs", "ramfs")
_OCTAL = re.compile(r"\\([0-7]{3})")


def directory(recording: Recording) -> Iterator[Finding]:
    """Find that this user cannot record into the spool directory; nothing is made or changed."""
    try:
        check_directory(recording.config.spool_dir)
    except SpoolError as exc:
        yield Finding(
            ERROR,
            str(exc),
            "this user's processes run on, and nothing of them is recorded",
            "as the text says; run the doctor as the user that runs the workers",
        )


def file_system(recording: Recording) -> Iterator[Finding]:
    """Find a spool on a file system that does not keep what is written, or locks over a network."""
    kind = file_system_of(recording.config.spool_dir)
    if _NETWORK.fullmatch(kind):
        yield Finding(
            ERROR,
            f"the spool is on {kind}, a network file system",
            "its locks say who writes and who ships, and hosts may not see each other's: records "
            "are sent twice or deleted early, and every task waits for the network",
            "set CELERYTRAIL_SPOOL_DIR to a directory on a local disk",
        )
    elif kind in _IN_MEMORY:
        yield Finding(
            INFO,
            f"the spool is on {kind}",
            "what waits in it is lost when the machine or the container ends",
            "set CELERYTRAIL_SPOOL_DIR to a directory on a disk, unless that is accepted",
        )


def space(recording: Recording) -> Iterator[Finding]:
    """Find a spool that is near its bound, or a disk that is."""
    used, bound = recording.backlog.bytes, recording.config.spool_max_bytes
    if used >= NEAR * bound:
        full = used >= bound
        yield Finding(
            ERROR if full else WARNING,
            f"the spool holds {used} of at most {bound} bytes",
            "new records are dropped and counted"
            if full
            else "at the bound new records are dropped",
            "see why the shipper does not deliver: celery trail status; CELERYTRAIL_SPOOL_MAX_BYTES "
            "is the bound",
        )
    free = _free_bytes(recording.config.spool_dir)
    if free is not None and free < LITTLE_BYTES:
        yield Finding(
            WARNING,
            f"{free} bytes are free on the disk of the spool",
            "on a full disk records are lost, and counted",
            "make room, or move the spool",
        )


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system that ``path`` is on, or would be; '' where it is unknown.

    By proc(5): of the mount points that hold the path the longest counts, and of equal ones the
    last, which hides those before it.
    """
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    real, found, length = Path(os.path.realpath(path)), "", -1
    for line in lines:
        place, _, source = line.partition(" - ")
        fields = place.split(" ")
        if len(fields) < 5 or not source:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if len(point.parts) >= length and real.is_relative_to(point):
            found, length = source.split(" ")[0], len(point.parts)
    return found


def _free_bytes(path: Path) -> int | None:
    for existing in (path, *path.parents):
        try:
            state = os.statvfs(existing)
        except OSError:
            continue
        return state.f_bavail * state.f_frsize
    return None
