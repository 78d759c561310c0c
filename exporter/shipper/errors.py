"""What can go wrong in the shipper."""

from __future__ import annotations

import socket
import ssl


class ShipperError(Exception):
    """Base of every error of the shipper; the message names the input and says what to do."""


class ConfigError(ShipperError):
    """A setting is missing, malformed or contradicts another; the message names the variable."""


class DeliveryError(ShipperError):
    """A request did not come through."""


class Unreachable(DeliveryError):
    """No answer: connection refused, cut, timed out, name not found, certificate not trusted."""

    @property
    def trouble(self) -> str:
        """Return what was in the way in a few fixed words, without any name, for a heartbeat."""
        cause = self.__cause__
        for kind, words in _TROUBLES:
            if isinstance(cause, kind):
                return words
        return "no answer"


class StoppedWaiting(DeliveryError):
    """The time for delivering ran out, or the process was asked to stop."""


_TROUBLES: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (TimeoutError, "timed out"),
    (socket.gaierror, "name not found"),
    (ssl.SSLError, "TLS failed"),
    (ConnectionError, "connection broken"),
)
