"""Opens connections to the broker of one deployment, each for one piece of work.

None is kept: a connection that died unseen would make the next publish one of which nobody knows
whether it arrived. A new one has proved itself when it is open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from kombu import connection as kombu_connection
from kombu.exceptions import KombuError

from celerytrail.action_api.broker.address import describe_broker
from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.broker.deadline import DeadlineExceeded, within
from celerytrail.action_api.broker.errors import BrokerDown, BrokerUncertain

T = TypeVar("T")

# kombu has the marker of a typed package, and few types.
Connection: Callable[..., Any] = kombu_connection.Connection


class Connections:
    """Connections to one broker, at most so many at a time."""

    def __init__(self, url: str, bounds: BrokerBounds) -> None:
        self._url = url
        self._bounds = bounds
        self._free = threading.BoundedSemaphore(bounds.connections)
        self.where = describe_broker(url)

    def __repr__(self) -> str:
        return f"Connections({self.where})"

    def transport_options(self) -> dict[str, Any]:
        """Return kombu's settings that keep each wait of each transport within bounds."""
        bounds = self._bounds
        if self._url.startswith(("amqp", "pyamqp")):
            return {
                "confirm_publish": True,
                "read_timeout": bounds.total_seconds,
                "write_timeout": bounds.total_seconds,
            }
        return {
            "socket_timeout": bounds.total_seconds,
            "socket_connect_timeout": bounds.connect_seconds,
            # A command whose answer was lost may have been done: it is never sent again.
            "retry_on_timeout": False,
        }

    def ask(self, work: Callable[[Any], T], seconds: float | None = None) -> T:
        """Return what ``work`` returns, given an open ``kombu.Connection``; it must change nothing.

        Raises BrokerDown when the broker does not answer in time.
        """
        try:
            return self.change(work, seconds)
        except BrokerUncertain as exc:
            raise BrokerDown(str(exc)) from exc

    def change(self, work: Callable[[Any], T], seconds: float | None = None) -> T:
        """Return what ``work`` returns, given an open ``kombu.Connection``.

        Raises BrokerDown when there was no connection, so that nothing was done, and
        BrokerUncertain when the broker failed or fell silent afterwards.
        """
        total = self._bounds.total_seconds if seconds is None else seconds
        gate = _Gate()

        def attempt() -> T:
            connection = self.open()
            try:
                if not gate.enter():
                    raise DeadlineExceeded
                return work(connection)
            finally:
                with suppress(Exception):  # the work is done, or its own error matters
                    connection.release()

        if not self._free.acquire(timeout=total):
            raise BrokerDown(f"too many actions wait for {self.where}: ask again later")
        try:
            return within(total, attempt)
        except DeadlineExceeded as exc:
            kind = BrokerUncertain if gate.close() else BrokerDown
            raise kind(f"{self.where} did not answer within {total:g} seconds") from exc
        except FAILURES as exc:
            kind = BrokerUncertain if gate.close() else BrokerDown
            raise kind(f"{self.where} failed: {failure(exc)}") from None
        finally:
            self._free.release()

    def open(self) -> Any:
        """Return an open connection. Raises whatever the transport raises."""
        connection = Connection(
            self._url,
            connect_timeout=self._bounds.connect_seconds,
            transport_options=self.transport_options(),
            heartbeat=0,
        )
        try:
            connection.ensure_connection(
                max_retries=max(0, len(connection.alt) - 1) or 1,
                interval_start=0,
                interval_step=0,
                interval_max=0,
                reraise_as_library_errors=False,
                timeout=self._bounds.connect_seconds,
            )
            # A channel is a question that the server has to answer.
            connection.default_channel  # noqa: B018
        except BaseException:
            connection.release()
            raise
        return connection


class _Gate:
    """Between opening a connection and using it: shut at the deadline, so that late is never."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = False
        self._closed = False

    def enter(self) -> bool:
        with self._lock:
            self._entered = not self._closed
            return self._entered

    def close(self) -> bool:
        """Return whether somebody had entered."""
        with self._lock:
            self._closed = True
            return self._entered


def _transport_errors() -> tuple[type[BaseException], ...]:
    found: set[type[BaseException]] = {KombuError, OSError}
    for scheme in ("amqp", "redis"):
        transport = Connection(f"{scheme}://").transport
        found.update(transport.connection_errors)
        found.update(transport.channel_errors)
    return tuple(found)


FAILURES: tuple[type[BaseException], ...] = _transport_errors()
"""What kombu's transports raise when a broker fails, besides errors of our own."""


def failure(exc: BaseException) -> str:
    """Return what may be said of a failure: a transport's own text can hold the URL."""
    said = exc.strerror if isinstance(exc, OSError) and exc.strerror else ""
    return f"{type(exc).__name__}: {said}" if said else type(exc).__name__
