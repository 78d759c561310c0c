"""What a process leaves behind when it ends: the living of its group, ended by their pids."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.02
_KILLED_SECONDS = 5.0


def living(group: int) -> list[int]:
    """Return the pids of the processes of a group that run; one that only waits to be reaped does not.

    Empty where the system has no ``/proc``.
    """
    return [
        int(entry.name)
        for entry in (_PROC.iterdir() if _PROC.is_dir() else ())
        if entry.name.isdigit() and _runs_in(entry, group)
    ]


def end_rest(group: int, grace_seconds: float) -> int:
    """Wait until nothing of a group runs, then SIGKILL what still does; return how many these were.

    For a group whose leader has ended. Takes at most ``grace_seconds`` and the few that the kernel
    needs to end what was killed.
    """
    if not _wait(group, grace_seconds):
        return 0
    killed: set[int] = set()
    deadline = time.monotonic() + _KILLED_SECONDS
    # Again and again: one of them may have forked meanwhile.
    while (left := living(group)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(left)
        time.sleep(_POLL_SECONDS)
    return len(killed)


def _wait(group: int, seconds: float) -> bool:
    """Say whether something of the group still runs after so many seconds."""
    deadline = time.monotonic() + seconds
    while living(group):
        if time.monotonic() > deadline:
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _runs_in(entry: Path, group: int) -> bool:
    try:
        status = (entry / "stat").read_text(errors="replace")
    except OSError:  # it has just ended
        return False
    state, _parent, of_group, *_ = status.rpartition(")")[2].split()
    return int(of_group) == group and state not in "ZX"
