"""What can go wrong in the shipper."""

from __future__ import annotations


class ShipperError(Exception):
    """Base of every error of the shipper; the message names the input and says what to do."""


class ConfigError(ShipperError):
    """A setting is missing, malformed or contradicts another; the message names the variable."""


class DeliveryError(ShipperError):
    """A request did not come through."""


class Unreachable(DeliveryError):
    """No answer: connection refused, cut, timed out, name not found, certificate not trusted."""


class StoppedWaiting(DeliveryError):
    """The time for delivering ran out, or the process was asked to stop."""
