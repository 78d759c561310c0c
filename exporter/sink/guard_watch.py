"""Looks again and again whether the database still guards the ledger as designed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from celerytrail.exporter.sink.errors import LedgerRefused

CHECK_SECONDS = 15.0


class GuardWatch:
    """Refuses requests while a guard of the ledger (a trigger, a grant, a rule) is not as designed.

    Nothing that arrives then could be trusted later, so that it is better kept by its sender.
    """

    def __init__(self, guards: Callable[[], list[str]], seconds: float = CHECK_SECONDS) -> None:
        self._guards = guards
        self._seconds = seconds
        self._lock = threading.Lock()
        self._due = 0.0
        self._wrong: list[str] = []

    def check(self, now: bool = False) -> None:
        """Raise LedgerRefused naming what is wrong; asks the database when the last look is old.

        One caller asks while the others go by the last look. Passes on LedgerUnavailable.
        """
        if (now or self._is_due()) and self._lock.acquire(blocking=now):
            try:
                if now or self._is_due():
                    self._wrong = self._guards()
                    # What is wrong is asked again at once: it may have been mended.
                    self._due = time.monotonic() + (0 if self._wrong else self._seconds)
            finally:
                self._lock.release()
        if self._wrong:
            named = ", ".join(self._wrong[:8])
            raise LedgerRefused(f"guards of the ledger are not as designed: {named}")

    def _is_due(self) -> bool:
        return time.monotonic() >= self._due
