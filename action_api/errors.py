"""The errors of the action API: each one is an answer to the caller, as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ActionApiError(Exception):
    """Base of all errors of the action API.

    ``status`` is the HTTP status, ``code`` a short constant name that scripts may rely on, the
    message what a person reads: it names the input and says what to do, and holds no secret.
    ``extra`` becomes further members of the problem document.
    """

    status = 500
    code = "internal"

    def __init__(
        self, message: str, *, code: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.extra = dict(extra or {})


class ConfigError(ActionApiError):
    """The configuration is wrong: the message names file, table and key."""

    code = "config"


class BadRequest(ActionApiError):
    """The request is not well formed."""

    status = 400
    code = "bad_request"


class NotAuthenticated(ActionApiError):
    """Nobody could be recognised behind the request. Always audited.

    ``why`` is a constant name for the ledger and the metrics; the caller does not see it.
    """

    status = 401
    code = "not_authenticated"
    why = "unknown"


class NotAllowed(ActionApiError):
    """The actor is known and may not do this. Always audited."""

    status = 403
    code = "not_allowed"


class NotFound(ActionApiError):
    """The task, group, queue or deployment is not known."""

    status = 404
    code = "not_found"


class Refused(ActionApiError):
    """The actor may do this, but it cannot or must not be done as things are. Always audited."""

    status = 409
    code = "refused"


class TooManyRequests(ActionApiError):
    """The actor, or everybody together, asks too often."""

    status = 429
    code = "too_many_requests"


class Unavailable(ActionApiError):
    """A broker, the database or Grafana's key endpoint does not answer; nothing was done."""

    status = 503
    code = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after_seconds: int = 5,
    ) -> None:
        super().__init__(message, code=code, extra=extra)
        self.retry_after_seconds = retry_after_seconds
