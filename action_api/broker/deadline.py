"""An upper bound for work that may wait for a broker in places that know no bound."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The work was not done in time; it may still be going on."""


class _Work(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._errors: list[BaseException] = []

    def run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as exc:  # noqa: BLE001 (raised again where it was asked for)
            self._errors.append(exc)

    def result(self) -> T:
        if self._errors:
            raise self._errors[0]
        return self._results[0]


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, or raise what it raises.

    Raises DeadlineExceeded after ``seconds``; then the thread is left to end by itself, which the
    timeouts of its sockets see to.
    """
    done: _Work[T] = _Work(work)
    thread = threading.Thread(target=done.run, name="celerytrail-broker", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if thread.is_alive():
        raise DeadlineExceeded
    return done.result()
