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
_STATUS = re.compile(r"\b(?:signal (?P<signum>\d{1,4})|exitcode (?P<code>-?\d{1,9}))\b")


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
        code = _exit_code(self.process)
        if code is None:
            return None
        signum = -code if code < 0 else None
        return ChildEnd(self.process.pid, code, signum, self.memory_bytes)


class PoolChildren:
    """Watches the children of one worker. Pools without processes have none, and cost nothing."""

    def __init__(self) -> None:
        self._pool: Any = None
        # By the identity of the process object: one that is being forked has no pid yet.
        self._living: dict[int, _Child] = {}
        self._ended: OrderedDict[int, ChildEnd] = OrderedDict()
        self._next = 0

    def watch(self, pool: Any) -> None:
        """Watch the children of this pool (``celery.concurrency.prefork.TaskPool``)."""
        self._pool = pool
        self._refresh()

    def forked(self) -> None:
        """Take note of a child that this process has just forked; it may be gone before the next look."""
        if self._pool is not None:
            self._refresh()

    def after_fork(self) -> None:
        """Forget all of them: in a child they are somebody else's."""
        self._pool = None
        self._living.clear()
        self._ended.clear()

    def sample(self) -> None:
        """Read how much memory the children have: at most ``MAX_SAMPLES`` of them a call."""
        self._refresh()
        children = list(self._living.values())
        count = len(children)
        for number in range(self._next, self._next + min(count, MAX_SAMPLES)):
            child = children[number % count]
            child.memory_bytes = _resident_bytes(child.process.pid) or child.memory_bytes
        self._next = (self._next + MAX_SAMPLES) % count if count > MAX_SAMPLES else 0

    def ended(self) -> Iterator[ChildEnd]:
        """Yield each child whose end the pool has noticed since the last call, once."""
        self._refresh()
        for key, child in list(self._living.items()):
            end = child.end()
            if end is not None and end.pid is not None:
                del self._living[key]
                self._ended[end.pid] = end
                while len(self._ended) > MAX_ENDED:
                    self._ended.popitem(last=False)
                yield end

    def of(self, pid: Any, said: Any = None) -> ChildEnd | None:
        """Return what is known of a child by its pid, or None where there is nothing to know.

        ``said`` is the message of the error that reports its loss: a second source of how it ended.
        """
        code = _said_code(said)
        child = next((one for one in self._living.values() if one.process.pid == pid), None)
        known = self._ended.get(pid) if child is None else child.end()
        if known is not None:
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
            if not hasattr(process, "_popen"):
                return
            key = id(process)
            if key in self._living or len(self._living) >= MAX_CHILDREN:
                continue
            if _exit_code(process) is None:  # else the pool has noticed its end, and still lists it
                self._living[key] = _Child(process)
                self._ended.pop(process.pid, None)


def _exit_code(process: Any) -> int | None:
    # The pool itself waits for its children; what it has not heard of is not asked for here.
    code = getattr(getattr(process, "_popen", None), "returncode", None)
    return code if isinstance(code, int) else None


def _said_code(said: Any) -> int | None:
    found = _STATUS.search(said) if isinstance(said, str) else None
    if found is None:
        return None
    signum = found["signum"]
    return -int(signum) if signum is not None else int(found["code"])


def _resident_bytes(pid: int | None) -> int | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read(128).split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):  # it has just ended, or there is no /proc
        return None
