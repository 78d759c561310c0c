"""A log line that may come with every record, said now and then, with the number of those unsaid."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class PacedLog:
    """Says each kind of message at most once in ``seconds``, and how many it kept to itself.

    A kind is the text of the message before its arguments are put in. Not thread-safe.
    """

    def __init__(
        self,
        logger: logging.Logger,
        seconds: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, level: int, text: str, *args: object) -> None:
        """Log ``text % args`` at ``level``, or count it when its kind was said just before."""
        now = self._clock()
        last, unsaid = self._said.get(text, (None, 0))
        if last is not None and now - last < self._seconds:
            self._said[text] = (last, unsaid + 1)
            return
        self._said[text] = (now, 0)
        if unsaid:
            self._logger.log(level, text + " (and %d more like it before)", *args, unsaid)
        else:
            self._logger.log(level, text, *args)
