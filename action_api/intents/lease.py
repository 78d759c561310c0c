"""The open action of this process: held by a lease that a thread of its own renews."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celerytrail.action_api.errors import ActionApiError, Unavailable
from celerytrail.action_api.intents.settings import IntentSettings
from celerytrail.action_api.ledger import Ledger

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger(__name__)


class LostLease(Unavailable):
    """Another process has taken this action for dead: it must not go on."""

    code = "lost_lease"


class Lease:
    """An intent that is held while the context is open; it is what a verb sees as ``Intent``.

    ``begun_at`` is the monotonic time before the intent was written: by then the lease had not
    begun, so whatever this clock allows, the database's allows too.
    """

    def __init__(
        self, ledger: Ledger, intent_id: UUID, settings: IntentSettings, begun_at: float
    ) -> None:
        self._ledger = ledger
        self._intent_id = intent_id
        self._holder = settings.holder
        self._seconds = settings.lease_seconds
        self._held_until = begun_at + settings.lease_seconds
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._heartbeat, name=f"celerytrail-lease-{intent_id}", daemon=True
        )

    @property
    def intent_id(self) -> UUID:
        """Return the id of the intent."""
        return self._intent_id

    def progress(self, detail: Mapping[str, Any]) -> None:
        """Write a row of phase ``progress``, committed when this returns.

        Raises LostLease when another process holds the intent, Unavailable without a database.
        """
        if not self._ledger.progress_intent(self._intent_id, self._holder, detail):
            self._lost = True
            raise LostLease("another process has taken this action over; nothing more was done")

    def still_ours(self) -> bool:
        """Say whether the lease still holds, by a clock that cannot be ahead of the database's."""
        return not self._lost and time.monotonic() < self._held_until

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A thread that was given up at a deadline may still ask: what is over is not begun.
        self._lost = True
        self._stop.set()
        self._thread.join()

    def _heartbeat(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            asked_at = time.monotonic()
            try:
                if not self._ledger.renew_lease(self._intent_id, self._holder, self._seconds):
                    self._lost = True
                    return
                self._held_until = asked_at + self._seconds
            except (
                ActionApiError
            ) as exc:  # the lease runs out by itself unless the database is back
                _log.warning("the lease of action %s was not renewed: %s", self._intent_id, exc)
