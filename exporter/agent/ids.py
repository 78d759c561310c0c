"""Random span and trace ids, from the system's generator: no ``random.seed`` of the user reaches them."""

from __future__ import annotations

import os

AT_ONCE = 256
"""Ids that are fetched together: asking the system for each takes longer than all the rest."""

_NO_SPAN = "0" * 16


class Ids:
    """Mints ids in hex. Any thread may call it; a forked child begins anew."""

    def __init__(self) -> None:
        # list.pop is atomic: no two threads get the same.
        self._spans: list[str] = []
        self._pairs: list[str] = []
        self.pop_pair = self._pairs.pop

    def after_fork(self) -> None:
        """Drop what was fetched: a child must not mint what its parent mints."""
        self._spans.clear()
        self._pairs.clear()

    def span_id(self) -> str:
        """Return 16 hex digits; all zeros, which OpenTelemetry forbids, never come."""
        try:
            return self._spans.pop()
        except IndexError:
            self._spans += _fetched(16)
            return self.span_id()

    def pair(self) -> str:
        """Return a trace id and a span id as one text of 48 hex digits.

        ``pop_pair`` does the same and raises IndexError when none is at hand: one call less in the
        way of a publisher.
        """
        try:
            return self.pop_pair()
        except IndexError:
            self._pairs += _fetched(48)
            return self.pair()

    def trace_id(self) -> str:
        """Return 32 hex digits, never all zeros."""
        return self.pair()[:32]


def _fetched(digits: int) -> list[str]:
    while True:
        text = os.urandom(AT_ONCE * digits // 2).hex()
        if _NO_SPAN not in text:
            return [text[start : start + digits] for start in range(0, len(text), digits)]
