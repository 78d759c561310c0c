"""Random span and trace ids, from a generator of our own that no ``random.seed`` of the user reaches."""

from __future__ import annotations

import os
import random


class Ids:
    """Mints ids in hex; seeded from the system, and again in every forked child."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Seed anew: a child must not mint what its parent mints."""
        self._bits = random.Random(os.urandom(32)).getrandbits

    def span_id(self) -> str:
        """Return 16 hex digits; all zeros, which OpenTelemetry forbids, never come."""
        return f"{self._bits(64) or 1:016x}"

    def trace_and_span_id(self) -> tuple[str, str]:
        """Return 32 and 16 hex digits, at the price of one."""
        # The lowest bit of each, set, keeps both from being all zeros.
        text = f"{self._bits(192) | 1 << 64 | 1:048x}"
        return text[:32], text[32:]

    def trace_id(self) -> str:
        """Return 32 hex digits, never all zeros."""
        return f"{self._bits(128) or 1:032x}"
