"""The net below every handler: an error of the recorder never reaches a task or a publisher."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

logger = logging.getLogger("celerytrail")

LOG_EVERY_SECONDS = 60.0

Result = TypeVar("Result")


class Guard:
    """Counts the recorder's own errors, and logs one a minute for each place, without any payload."""

    def __init__(self) -> None:
        self.errors = 0
        self._logged: dict[str, float] = {}

    def caught(self, where: str, exc: BaseException) -> None:
        """Count an error of the recorder; name the place and the class, never the message.

        An exception's message may hold what the task was called with.
        """
        self.errors += 1
        self.warn(
            where, "celerytrail: %s in %s; the task is not affected", type(exc).__name__, where
        )

    def warn(self, key: str, message: str, *args: object) -> None:
        """Log a warning, at most once a minute for each key."""
        now = time.monotonic()
        if now - self._logged.get(key, -LOG_EVERY_SECONDS) < LOG_EVERY_SECONDS:
            return
        self._logged[key] = now
        try:
            logger.warning(message, *args)
        except Exception:  # noqa: BLE001 (a broken logging set-up is not the task's trouble either)
            self.errors += 1

    def wrap(self, handler: Callable[..., Result]) -> Callable[..., Result | None]:
        """Return the handler with this net below it."""

        @functools.wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> Result | None:
            try:
                return handler(*args, **kwargs)
            except Exception as exc:  # noqa: BLE001 (the one place where all of them end)
                self.caught(handler.__name__, exc)
                return None

        return guarded
