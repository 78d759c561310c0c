"""What the ledger has to say of a task when its scenario is over."""

from __future__ import annotations

from dataclasses import dataclass, replace

LOST_RUNS_ARE_CONCLUDED = False
"""Whether the shipper writes ``lost`` for runs whose process ended without a goodbye.

The expectations say ``lost`` where such a run is. While this is False they are compared without: the
step is taken away, and the run, and a task that ends so, are still ``started``.
"""

LOST = "lost"
_STILL = "started"


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

    @property
    def depends_on_conclusions(self) -> bool:
        """Say whether some run's end is reported by nobody."""
        return LOST in self.steps

    def now(self) -> Expected:
        """Return what is expected of the recorder as it is."""
        if LOST_RUNS_ARE_CONCLUDED or not self.depends_on_conclusions:
            return self
        return replace(
            self,
            state=_STILL if self.state == LOST else self.state,
            runs=tuple(_STILL if run == LOST else run for run in self.runs),
            steps=tuple(step for step in self.steps if step != LOST),
        )


def once(end: str, *more: str, state: str | None = None) -> Expected:
    """One send, one reception, one run with this end, and further steps, which may give the state."""
    return Expected(state or end, (end,), ("sent", "received", "started", end, *more))


def reported_by_main_process(end: str) -> Expected:
    """A run whose own process said nothing of its end; the worker's main process did."""
    return Expected(end, (end,), ("sent", "received", "started", end))


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
