"""How long to wait before the next try."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

MAX_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 300.0
_FIRST_SECONDS = 0.25


class Backoff:
    """Doubling waits with jitter, up to 30 s: many shippers must not come back at once."""

    def __init__(self, seed: random.Random | None = None) -> None:
        self._random = seed or random.Random()
        self._tries = 0

    def next(self, retry_after: str | None = None) -> float:
        """Return seconds to wait; not less than a receiver's Retry-After (RFC 9110, 10.2.3)."""
        ceiling = min(MAX_SECONDS, _FIRST_SECONDS * 2.0 ** min(self._tries, 16))
        self._tries += 1
        wait = ceiling * self._random.uniform(0.5, 1.0)
        return max(wait, min(_seconds(retry_after), MAX_RETRY_AFTER_SECONDS))

    def reset(self) -> None:
        """Begin with short waits again, after a success."""
        self._tries = 0


def _seconds(retry_after: str | None) -> float:
    if not retry_after:
        return 0.0
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
