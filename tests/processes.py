"""What is known about processes from outside, and ending one so that it ends what it started."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def mentioning(text: str) -> dict[int, str]:
    """Return the command lines, by pid, of the living processes that have ``text`` in theirs or in
    their environment: what was started for one directory, however it was started.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in command + environment and alive(int(entry.name)):
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def kill(pids: Iterable[int], signum: int = signal.SIGKILL) -> None:
    """Send a signal to processes of ours, found by a look at /proc; those that ended meanwhile are fine."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def exit_on_sigterm() -> None:
    """Make SIGTERM an exception in this process: the servers and workers it started are ended too."""
    signal.signal(signal.SIGTERM, lambda signum, _frame: sys.exit(128 + signum))


def shippers_of(spool: Path) -> list[int]:
    """Return the processes that ship a spool, found in /proc by their arguments."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _ships(entry, str(spool))
    ]


def _ships(entry: Path, spool: str) -> bool:
    try:
        arguments = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"celerytrail.exporter.shipper" in arguments and spool.encode() in arguments
