"""How long to go on: for ever, for a bounded time, or a while longer after being asked to stop."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType

from celerytrail.exporter.shipper.errors import StoppedWaiting

_SLICE_SECONDS = 3600.0


class Patience:
    """The deadline of this process, and waiting that ends when somebody asks it to stop.

    ``limit_seconds`` bounds everything from now on; None is no bound. ``stop`` sets a deadline
    ``drain_seconds`` ahead. ``give_up`` says to fail at once where waiting needs a person to act.
    """

    def __init__(
        self,
        *,
        limit_seconds: float | None = None,
        drain_seconds: float = 10.0,
        give_up: bool = False,
    ) -> None:
        self.give_up = give_up
        self.stopping = False
        self._drain_seconds = drain_seconds
        self._deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
        # An Event is no good here: its lock may be held by the very code that a handler interrupts.
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def stop(self) -> None:
        """Ask to stop; safe in a signal handler, and harmless a second time."""
        if self.stopping:
            return
        self.stopping = True
        deadline = time.monotonic() + self._drain_seconds
        self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)
        os.write(self._write_end, b"s")

    def stop_on_signals(self, at_the_end: Callable[[], None]) -> None:
        """Stop on SIGTERM and SIGINT; call ``at_the_end`` when the time to drain is over."""

        def on_signal(_signum: int, _frame: FrameType | None) -> None:
            self.stop()
            signal.setitimer(signal.ITIMER_REAL, max(0.01, self._drain_seconds))

        def on_alarm(_signum: int, _frame: FrameType | None) -> None:
            at_the_end()

        signal.signal(signal.SIGALRM, on_alarm)
        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)

    @property
    def over(self) -> bool:
        """Tell whether the time is up."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def check(self, trouble: str) -> None:
        """Raise StoppedWaiting, saying what was waited for, when the time is up."""
        if self.over:
            raise StoppedWaiting(trouble)

    def wait(self, seconds: float, trouble: str = "") -> None:
        """Wait, but not beyond the deadline, nor after ``stop``.

        Raises StoppedWaiting when the time is up after it.
        """
        left = seconds
        if self._deadline is not None:
            left = min(left, max(0.0, self._deadline - time.monotonic()))
        if self.stopping:
            time.sleep(min(left, 0.5))
        else:
            select.select([self._read_end], [], [], min(left, _SLICE_SECONDS))
        self.check(trouble)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._read_end)
        os.close(self._write_end)
