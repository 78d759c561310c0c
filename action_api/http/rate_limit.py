"""How often one actor may ask: a bucket for each, filled evenly."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from celerytrail.action_api.errors import TooManyRequests

MAX_ACTORS = 10_000


class RateLimit:
    """Allows each actor so many requests a minute in this process; safe to use from threads.

    A bucket that is full again is as good as none, so the ones that were not used for longest are
    forgotten beyond a bound.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, actor: str) -> None:
        """Count one request of an actor. Raises TooManyRequests with ``retry_after_seconds``."""
        now = self._clock()
        with self._lock:
            tokens, then = self._buckets.pop(actor, (self._capacity, now))
            tokens = min(self._capacity, tokens + (now - then) * self._per_second)
            allowed = tokens >= 1
            self._buckets[actor] = (tokens - 1 if allowed else tokens, now)
            while len(self._buckets) > MAX_ACTORS:
                self._buckets.popitem(last=False)
        if not allowed:
            seconds = math.ceil((1 - tokens) / self._per_second)
            raise TooManyRequests(
                f"{actor} asks too often: {self._capacity:g} requests a minute are allowed",
                extra={"retry_after_seconds": seconds},
            )
