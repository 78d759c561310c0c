"""How much the sink takes on at once; what is over it is refused before its body is read."""

from __future__ import annotations

import threading

from celerytrail.exporter.sink.refusal import unavailable


class Admission:
    """Counts requests and bytes in flight in this process, and refuses what is over the bounds.

    Bytes are those of bodies after inflating: compressed bodies are counted by an estimate when they
    are admitted, and by what they really are as they grow.
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._lock = threading.Lock()
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self.requests = 0
        self.bytes = 0

    def enter(self) -> Ticket:
        """Return a ticket to be closed when the request is done; raises RequestRefused (503)."""
        with self._lock:
            if self.requests >= self._max_requests:
                raise unavailable("requests_in_flight", "too many requests are in flight", 1)
            self.requests += 1
        return Ticket(self)

    def take(self, count: int, held: int) -> None:
        """Add bytes to a request that holds ``held`` of them; raises RequestRefused (503).

        A request that is alone always gets them, or nothing of its size could ever come in.
        """
        with self._lock:
            others = self.bytes - held
            if others and self.bytes + count > self._max_bytes:
                raise unavailable("bytes_in_flight", "too many bytes are in flight", 1)
            self.bytes += count

    def leave(self, held: int) -> None:
        """Give back a request and the bytes it held."""
        with self._lock:
            self.requests -= 1
            self.bytes -= held


class Ticket:
    """One admitted request."""

    __slots__ = ("_admission", "_held")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held = 0

    def hold(self, total: int) -> None:
        """Hold at least ``total`` bytes; raises RequestRefused (503)."""
        if total > self._held:
            self._admission.take(total - self._held, self._held)
            self._held = total

    def close(self) -> None:
        """Leave: called once, whatever became of the request."""
        self._admission.leave(self._held)
        self._held = 0
