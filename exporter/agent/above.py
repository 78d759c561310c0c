"""What a message inherits from the task that publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celerytrail.exporter.agent.canvas import CHORD, Group, chord_of, is_published_first
from celerytrail.exporter.agent.chord_runs import CHORD_UNLOCK
from celerytrail.exporter.agent.running import RUN_ID, RUN_KEY
from celerytrail.exporter.spool.traceparent import TRACEPARENT, read_traceparent
from celerytrail.exporter.spool.trail import (
    TRAIL_HEADER,
    Enclosing,
    Trail,
    derived_trace_id,
    read_trail,
)


@dataclass(frozen=True, slots=True)
class Above:
    """The task in hand: its trail, its run, and whether it sends its own id again.

    ``chord`` is the body of the chord that it reports to, ``chord_group`` the id of that chord.
    """

    trail: Trail
    run_id: str
    again: bool
    chord: Any = None
    chord_group: str = ""

    def chord_of_body(self, task_id: Any) -> Enclosing | None:
        """Return the chord whose body is that task; None when it is no body, or its chord unknown."""
        if self.again or self.chord is None or not is_published_first(task_id, self.chord):
            return None
        return self.trail.known(self.chord_group)

    def without_finished(self, around: list[Group], body_of: Enclosing | None) -> list[Group]:
        """Return the groups around a message without the chords that it only comes after.

        In Celery 5.7 a body, and what is chained to it, carries the group of its own headers.
        """
        return [one for one in around if not self._is_finished(one, body_of)]

    def _is_finished(self, group: Group, body_of: Enclosing | None) -> bool:
        if body_of is not None and group.group_id == body_of.group_id:
            return True
        if group.kind == CHORD:  # its headers say so: they carry the body
            return False
        known = self.trail.known(group.group_id)
        return known is not None and known.headers != 0

    def groups(self) -> tuple[Enclosing, ...]:
        """Return the groups around the task in hand, as far as its trail tells."""
        own = self.trail.known(self.trail.group_id)
        return (*((own,) if own is not None else ()), *self.trail.enclosing)


def above_of(request: Any, facts: Mapping[str, Any]) -> Above | None:
    """Return what a message with these headers inherits, None when no task publishes it."""
    if request is None:
        # Celery's main process copies a request's headers into a retry on the task's behalf.
        stale = read_trail(facts.get(TRAIL_HEADER))
        return None if stale is None else Above(stale, "", bool(facts.get("retries")))
    known = request.__dict__
    run = known.get(RUN_KEY)
    run_id = run[RUN_ID] if run else ""
    again = facts.get("id") == known["id"]
    trail = read_trail(known.get(TRAIL_HEADER))
    if trail is None:
        caller = read_traceparent(known.get(TRACEPARENT))
        root_id = str(known.get("root_id") or known["id"])
        trace_id = derived_trace_id(root_id) if caller is None else caller[0]
        # No send: this trail was never on a message, only its trace is inherited.
        trail = Trail(trace_id, "", 0)
    chord, group = chord_of(known), known.get("group")
    if known.get("task") == CHORD_UNLOCK:
        args = known.get("args")
        if isinstance(args, (list, tuple)) and len(args) > 1:
            group, chord = args[0], args[1]
    return Above(trail, run_id, again, chord, group if isinstance(group, str) else "")
