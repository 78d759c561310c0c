"""The token of a request: whose events it may write."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

from celerytrail.exporter.sink.errors import TokenRefused
from celerytrail.exporter.sink.ledger import Principal
from celerytrail.exporter.sink.refusal import unauthenticated

CACHE_SECONDS = 10.0
"""How long a revoked token still gets its body read; the transaction that stores it asks again."""

_MAX_TOKEN_CHARACTERS = 512
_CACHE_ENTRIES = 1024


def token_hash(authorization: str | None) -> bytes:
    """Return the SHA-256 of a request's bearer token; raises RequestRefused (401) without one.

    https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("a bearer token is needed: Authorization: Bearer <token>")
    if len(token) > _MAX_TOKEN_CHARACTERS or " " in token or "," in token:
        raise unauthenticated("the bearer token is unknown, revoked or expired")
    return hashlib.sha256(token.encode()).digest()


class Gate:
    """Knows the principals of tokens that were good a moment ago; never a refusal."""

    def __init__(
        self, authenticate: Callable[[bytes], Principal], seconds: float = CACHE_SECONDS
    ) -> None:
        self._authenticate = authenticate
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[float, Principal]] = {}

    def principal(self, digest: bytes) -> Principal:
        """Return the principal of a token.

        Raises RequestRefused (401) for an unknown, revoked or expired one, and LedgerUnavailable
        when the database cannot be asked.
        """
        now = time.monotonic()
        with self._lock:
            entry = self._known.get(digest)
        if entry is not None and entry[0] > now:
            return entry[1]
        try:
            principal = self._authenticate(digest)
        except TokenRefused:
            self.forget(digest)
            raise unauthenticated("the bearer token is unknown, revoked or expired") from None
        with self._lock:
            if len(self._known) >= _CACHE_ENTRIES:
                self._known.clear()
            self._known[digest] = (now + self._seconds, principal)
        return principal

    def forget(self, digest: bytes) -> None:
        """Ask the database again the next time this token comes."""
        with self._lock:
            self._known.pop(digest, None)
