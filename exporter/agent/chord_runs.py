"""The chords that this process is publishing: how many headers each has, and which come next.

No signal and no message says how many headers a chord has, or that a ``celery.chord_unlock`` is
about to be published. Celery's own ``chord.run`` knows both: it is watched while it publishes.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

from celery.canvas import _chord

from celerytrail.exporter.agent.pending import PendingPublishes
from celerytrail.exporter.spool.member_ids import member_span_id

CHORD_UNLOCK = "celery.chord_unlock"
"""The task that polls for the headers, where the result backend cannot count them."""

_METHOD = "run"


class ChordRun:
    """One chord whose headers are being published by this thread."""

    def __init__(self, header: Any) -> None:
        self._header = header
        self._counted: int | None = None
        self._minted = 0
        self.span_id = ""

    @property
    def group_id(self) -> Any:
        """Return the id that Celery gave the group of headers, or None as long as it has none."""
        return self._header.options.get("group_id")

    def size(self) -> int | None:
        """Return how many headers there are, None as long as nobody can know.

        A header is what reports to the chord: a task, a chain or another chord. A generator is not
        run ahead of Celery, so its headers are counted once Celery has run through it.
        """
        if self._counted is None:
            tasks = self._header.tasks
            if type(tasks) in (list, tuple) or getattr(tasks, "_regen__done", False):
                self._counted = _count(tasks)
        return self._counted

    def count(self, results: Any) -> None:
        """Take the number of headers from the results that somebody is told to wait for."""
        if isinstance(results, Sequence) and not isinstance(results, str):
            self._counted = len(results)

    def next_member(self, span_id: str) -> str | None:
        """Return the span id of the header that is published next, derived from the chord's.

        None where its ids are not derived: ``span_id`` is not the one that this run minted.
        """
        if not self.span_id or span_id != self.span_id:
            return None
        self._minted += 1
        return member_span_id(span_id, self._minted - 1)


def _count(tasks: Any) -> int | None:
    counted = 0
    for task in tasks:
        kind = task.get("subtask_type")
        if kind == "group":  # of a generator: Celery takes it apart later
            return None
        if kind != "chain" or task["kwargs"].get("tasks"):  # an empty chain sends nothing
            counted += 1
    return counted


class ChordWatch:
    """Wraps ``chord.run``; ``under_way`` are the chords that a thread publishes, outermost first."""

    def __init__(self, pending: PendingPublishes) -> None:
        self._pending = pending
        self._local = threading.local()
        self._everywhere: dict[int, ChordRun] = {}
        self._original: Any = None
        self._ours: Any = None
        self._active = False

    def under_way(self) -> list[ChordRun]:
        """Return the chords whose headers this thread is publishing, outermost first."""
        found: list[ChordRun] = self._local.__dict__.setdefault("runs", [])
        return found

    def any_under_way(self) -> bool:
        """Say whether any thread is publishing a chord."""
        return bool(self._everywhere)

    def install(self) -> None:
        """Begin to watch; harmless when done before."""
        if self._active:
            return
        self._active = True
        original: Any = _chord.run
        watch = self

        @functools.wraps(original)
        def run(chord: Any, /, *args: Any, **kwargs: Any) -> Any:
            header = args[0] if args else kwargs.get("header")
            if not watch._active or not hasattr(header, "options"):
                return original(chord, *args, **kwargs)
            runs, mine = watch.under_way(), ChordRun(header)
            runs.append(mine)
            watch._everywhere[id(mine)] = mine
            # A chord_unlock looks like any other publish: this makes the handler look closer.
            watch._pending.look_closer = True
            try:
                return original(chord, *args, **kwargs)
            finally:
                runs.pop()
                watch._everywhere.pop(id(mine), None)

        self._original, self._ours = original, run
        setattr(_chord, _METHOD, run)

    def uninstall(self) -> None:
        """Stop watching; what somebody wrapped around ours stays, and ours is inert inside it."""
        if not self._active:
            return
        self._active = False
        if getattr(_chord, _METHOD) is self._ours:
            setattr(_chord, _METHOD, self._original)
