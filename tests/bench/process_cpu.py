"""CPU time of other processes, to the nanosecond, from ``/proc/<pid>/task/*/schedstat``."""

from __future__ import annotations

import contextlib
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process's living threads, 0 for a process that is gone."""
    spent = 0
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                spent += int((thread / "schedstat").read_text().split()[0])
    return spent / 1e9


def children(pid: int) -> list[int]:
    """Return the children of a process that run the same program as it: those of a prefork pool."""
    own = Path(f"/proc/{pid}/cmdline").read_bytes()
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{child}/cmdline").read_bytes() == own:
                found.append(int(child))
    return found


def with_argument(text: str) -> list[int]:
    """Return the processes that have ``text`` among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if text.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
