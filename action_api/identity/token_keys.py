"""The public keys that Grafana signs with: from its JWKS document, kept, and asked for again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from celerytrail.action_api.errors import Unavailable
from celerytrail.action_api.identity.jwks import JwksError, fetch_keys

_log = logging.getLogger(__name__)

FRESH_SECONDS = 3600.0
USABLE_SECONDS = 24 * 3600.0
UNKNOWN_KEY_SECONDS = 30.0
RETRY_SECONDS = 2.0

Fetch = Callable[[str], Mapping[str, EllipticCurvePublicKey]]


class TokenKeys:
    """The keys behind one address; safe to use from several threads.

    Keys are taken as they are for an hour. After that, and for a key id that is not among them,
    they are asked for again, at most once in 30 s; while Grafana does not answer, keys that are
    known stay good for 24 h. Before the first answer it is asked every 2 s at most.
    """

    def __init__(
        self,
        url: str,
        fetch: Fetch = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, EllipticCurvePublicKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False

    def key(self, kid: str) -> EllipticCurvePublicKey | None:
        """Return a key by its id, None when Grafana says that it has no such key.

        Raises Unavailable when that cannot be found out now.
        """
        key = self._keys.get(kid)
        if key is not None and self._age() < FRESH_SECONDS:
            return key
        with self._lock:
            self._refresh(kid)
            key = self._keys.get(kid)
            if key is not None and self._age() < USABLE_SECONDS:
                return key
            if self._failed or self._fetched_at is None:
                raise Unavailable(
                    "Grafana's signing keys cannot be read, so nobody can be recognised; "
                    "try again in a moment",
                    retry_after_seconds=5,
                )
            return None

    def _refresh(self, kid: str) -> None:
        """Fetch the keys, unless what is known answers the question or it was tried just now."""
        if kid in self._keys and self._age() < FRESH_SECONDS:
            return  # somebody fetched them while this thread waited
        now = self._clock()
        pause = RETRY_SECONDS if self._fetched_at is None else UNKNOWN_KEY_SECONDS
        if self._tried_at is not None and now - self._tried_at < pause:
            return
        try:
            self._keys = self._fetch(self._url)
        except JwksError as exc:
            self._failed = True
            _log.warning("Grafana's signing keys at %s cannot be read: %s", self._url, exc)
        else:
            self._failed = False
            self._fetched_at = self._clock()
        finally:
            self._tried_at = self._clock()

    def _age(self) -> float:
        if self._fetched_at is None:
            return float("inf")
        return self._clock() - self._fetched_at
