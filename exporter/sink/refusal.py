"""What the sink says no to: a whole request, or one record of it."""

from __future__ import annotations

from celerytrail.exporter.sink.errors import SinkError


class RequestRefused(SinkError):
    """A whole request is not taken.

    ``status`` is the HTTP status, ``code`` the google.rpc code, ``reason`` the label of the metric.
    ``retry_after`` (seconds) is set where the client should try again.
    """

    def __init__(
        self, status: int, code: int, reason: str, message: str, *, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class Unstorable(SinkError):
    """One span or log record can never be stored; the message names the field, never its value."""


# google.rpc.Code
INVALID_ARGUMENT = 3
NOT_FOUND = 5
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
UNAVAILABLE = 14
UNAUTHENTICATED = 16


def malformed(message: str) -> RequestRefused:
    """Return the refusal of a body that cannot be decoded: 400, never sent again."""
    return RequestRefused(400, INVALID_ARGUMENT, "malformed", message)


def too_large(message: str) -> RequestRefused:
    """Return the refusal of a body over a bound: 413, never sent again."""
    return RequestRefused(413, RESOURCE_EXHAUSTED, "too_large", message)


def unsupported(message: str) -> RequestRefused:
    """Return the refusal of a media type or content encoding: 415."""
    return RequestRefused(415, INVALID_ARGUMENT, "unsupported", message)


def unauthenticated(message: str) -> RequestRefused:
    """Return the refusal of a missing, unknown or expired token: 401."""
    return RequestRefused(401, UNAUTHENTICATED, "token", message)


def unavailable(reason: str, message: str, retry_after: int = 2) -> RequestRefused:
    """Return the refusal of a request that should be sent again later: 503 with Retry-After."""
    return RequestRefused(503, UNAVAILABLE, reason, message, retry_after=retry_after)
