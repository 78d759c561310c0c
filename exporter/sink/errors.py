"""What can go wrong in the sink; every error but TokenRefused is answered so that nothing is lost."""

from __future__ import annotations

DEFAULT_RETRY_AFTER_SECONDS = 5


class SinkError(Exception):
    """Base of the errors of celerytrail.exporter.sink."""


class TokenRefused(SinkError):
    """The token is unknown, revoked or expired."""


class LedgerUnavailable(SinkError):
    """The database cannot be written to now; the same batch may be sent again later."""

    def __init__(
        self, message: str, retry_after_seconds: int = DEFAULT_RETRY_AFTER_SECONDS
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class LedgerRefused(SinkError):
    """The ledger is not as designed, so that nothing was stored and nobody may say it was."""
