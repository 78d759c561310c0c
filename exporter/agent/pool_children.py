"""The children of a prefork pool, seen from the worker's main process: memory, and how each ended."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_CHILDREN = 256
"""Children that are watched; a larger pool is watched in part."""

MAX_SAMPLES = 64
"""Children whose memory is read at one heartbeat; the others follow at the next ones."""

MAX_ENDED = 1024

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# What billiard says of a child's end: "signal 9 (SIGKILL)", "exitcode 3".
_STATUS = re.compile(r"\b(?:signal (?P<signum>\d+)|exitcode (?P<code>-?\d+))\b")


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """What is known of a child: how it ended, where that is known, and the memory it had last.

    ``exit_code`` is negative for a signal, as everywhere in Python; ``signum`` is that signal.
    """

    pid: int | None
    exit_code: int | None = None
    signum: int | None = None
    memory_bytes: int | None = None

    def fields(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Return the values of a record, in the order of its layout."""
        return (self.pid, self.exit_code, self.signum, self.memory_bytes)


@dataclass(slots=True)
class _Child:
    process: Any
    memory_bytes: int | None = None

    def end(self) -> ChildEnd | None:
        # The pool itself waits for its children; what it has not heard of is not asked for here.
        code = getattr(getattr(self.process, "_popen", None), "returncode", None)
        if not isinstance(code, int):
            return None
        signum = -code if code < 0 else None
        return ChildEnd(self.process.pid, code, signum, self.memory_bytes)


class PoolChildren:
    """Watches the children of one worker. Pools without processes have none, and cost nothing.

    A child that comes and goes between two looks is not seen here; its own stream tells of it.
    """

    def __init__(self) -> None:
        self._pool: Any = None
        self._living: dict[int, _Child] = {}
        self._ended: OrderedDict[int, ChildEnd] = OrderedDict()
        self._next = 0

    def watch(self, pool: Any) -> None:
        """Watch the children of this pool (``celery.concurrency.prefork.TaskPool``)."""
        self._pool = pool
        self._refresh()

    def sample(self) -> None:
        """Read how much memory the children have: at most ``MAX_SAMPLES`` of them a call."""
        self._refresh()
        children = list(self._living.items())
        count = len(children)
        for number in range(self._next, self._next + min(count, MAX_SAMPLES)):
            pid, child = children[number % count]
            child.memory_bytes = _resident_bytes(pid) or child.memory_bytes
        self._next = (self._next + MAX_SAMPLES) % count if count > MAX_SAMPLES else 0

    def ended(self) -> Iterator[ChildEnd]:
        """Yield each child whose end the pool has noticed since the last call, once."""
        for pid, child in list(self._living.items()):
            end = child.end()
            if end is not None:
                del self._living[pid]
                self._ended[pid] = end
                while len(self._ended) > MAX_ENDED:
                    self._ended.popitem(last=False)
                yield end
        self._refresh()

    def of(self, pid: Any, said: Any = None) -> ChildEnd | None:
        """Return what is known of a child by its pid, or None where there is nothing to know.

        ``said`` is the message of the error that reports its loss: a second source of how it ended.
        """
        code = _said_code(said)
        child = self._living.get(pid)
        known = self._ended.get(pid) if child is None else child.end()
        if known is not None and known.exit_code is not None:
            return known
        memory = child.memory_bytes if child is not None else None
        if code is None:
            # Without how it ended, it is told of only where it is known to be a child of the pool.
            return ChildEnd(pid, memory_bytes=memory) if child is not None else None
        return ChildEnd(pid, code, -code if code < 0 else None, memory)

    def _refresh(self) -> None:
        inner = getattr(self._pool, "_pool", None)
        processes = getattr(inner, "_pool", None)
        if not isinstance(processes, list):  # threads and green threads have no children
            return
        for process in list(processes):
            pid = getattr(process, "pid", None)
            if not isinstance(pid, int) or not hasattr(process, "exitcode"):
                return
            known = self._living.get(pid)
            if known is None and len(self._living) >= MAX_CHILDREN:
                return
            if known is None or known.process is not process:
                self._living[pid] = _Child(process)
                self._ended.pop(pid, None)


def _said_code(said: Any) -> int | None:
    found = _STATUS.search(said) if isinstance(said, str) else None
    if found is None:
        return None
    signum = found["signum"]
    return -int(signum) if signum is not None else int(found["code"])


def _resident_bytes(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read(128).split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):  # it has just ended, or there is no /proc
        return None
