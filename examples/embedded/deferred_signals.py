"""Signals that wait: what is being started is known before anybody is interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back in the block; their handlers are called when it ends.

    A handler that raises while ``subprocess.Popen`` waits for its child would leave a process that
    nobody has the pid of. Outside of the main thread no handler runs, and nothing is done.
    """
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        # Those that are ignored stay ignored, also in what is started.
        before = {number: signal.getsignal(number) for number in _HELD}
        before = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number in before:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)
