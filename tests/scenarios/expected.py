"""What the ledger has to say of a task when its scenario is over."""

from __future__ import annotations

from dataclasses import dataclass

LOST = "lost"


@dataclass(frozen=True, slots=True)
class Expected:
    """State of the task, states of its runs in the order of their starts, and its steps in any order.

    ``state`` is None where the message has no task id. A task of that state is marked as inferred
    if, and only if, the state is ``lost``.
    """

    state: str | None
    runs: tuple[str, ...]
    steps: tuple[str, ...]

    @property
    def inferred(self) -> bool:
        """Say whether the end was concluded and reported by nobody."""
        return self.state == LOST


def once(end: str, *more: str, state: str | None = None) -> Expected:
    """One send, one reception, one run with this end, and further steps.

    With ``state`` one of these is a report of the main process, which gives the run its end, too.
    """
    shown = state or end
    return Expected(shown, (shown,), ("sent", "received", "started", end, *more))


def reported_by_main_process(end: str) -> Expected:
    """A run whose own process said nothing of its end, so it was concluded; the main process's report counts."""
    return Expected(end, (end,), ("sent", "received", "started", LOST, end))


def never_ran(*steps: str) -> Expected:
    """A task without a run: its last step is its state."""
    return Expected(steps[-1], (), steps)


def twice(first: str, last: str, *, sends: int) -> Expected:
    """Two runs, each after a reception of its own, of one message or of two."""
    steps = ("sent",) * sends + ("received", "started", first, "received", "started", last)
    return Expected(last, (first, last), steps)


def eager(*ends: str) -> Expected:
    """Runs in the caller's process: no message, no reception."""
    steps = tuple(step for end in ends for step in ("started", end))
    return Expected(ends[-1], ends, steps)
