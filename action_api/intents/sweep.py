"""Finds out what became of actions whose process died, and never does them again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Protocol

from celerytrail.action_api.action import Outcome
from celerytrail.action_api.errors import ActionApiError
from celerytrail.action_api.intents.settings import IntentSettings
from celerytrail.action_api.intents.unwritten import Unwritten
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.ledger_pool import LedgerRefused
from celerytrail.action_api.rows import ExpiredIntent

_log = logging.getLogger(__name__)


class Recovers(Protocol):
    """The part of a verb that the sweep needs."""

    def recover(self, expired: ExpiredIntent, *, last_look: bool) -> Outcome | None:
        """Say what became of an action, from the ledger and the queue; None: not to be seen yet.

        At the last look it has to say something. It must not send anything.
        """


class Sweep:
    """Looks at expired intents, once at start and then in intervals, on a thread of its own."""

    def __init__(
        self,
        ledger: Ledger,
        verbs: Mapping[str, Recovers],
        settings: IntentSettings,
        unwritten: Unwritten,
    ) -> None:
        self._ledger = ledger
        self._verbs = verbs
        self._settings = settings
        self._unwritten = unwritten
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; it ends with ``stop``, or with the process."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="celerytrail-sweep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def look(self) -> int:
        """Look once, and return how many actions got their outcome.

        Raises Unavailable without a database.
        """
        settings = self._settings
        self._unwritten.write(self._ledger, settings.holder)
        finished = 0
        # Held for a short while only: what is not to be seen yet is looked at again, by anyone.
        for expired in self._ledger.take_expired_intents(settings.holder, settings.sweep_seconds):
            outcome = self._outcome(expired)
            if outcome is not None and self._finish(expired, outcome):
                finished += 1
                _log.warning(
                    "action %s (%s by %s) had lost its process: %s",
                    expired.intent_id,
                    expired.verb,
                    expired.actor,
                    outcome.state,
                )
        return finished

    def _finish(self, expired: ExpiredIntent, outcome: Outcome) -> bool:
        try:
            return self._ledger.finish_intent(expired.intent_id, self._settings.holder, outcome)
        except LedgerRefused as exc:  # of this one; those after it are no worse for it
            _log.error("the outcome of action %s is not accepted: %s", expired.intent_id, exc)
            return False

    def _outcome(self, expired: ExpiredIntent) -> Outcome | None:
        known = self._unwritten.get(expired.intent_id)
        if known is not None:
            return known
        settings = self._settings
        last_look = expired.age_seconds > settings.lease_seconds + settings.grace_seconds
        verb = self._verbs.get(expired.verb)
        try:
            if verb is not None:
                return verb.recover(expired, last_look=last_look)
        except ActionApiError as exc:
            if not last_look:
                _log.info("action %s cannot be looked for yet: %s", expired.intent_id, exc)
        except Exception:  # noqa: BLE001 (or this action stays open, and those after it too)
            _log.exception("looking for action %s failed", expired.intent_id)
        if not last_look:
            return None
        return Outcome(
            "unknown", "the process that did this died, and nothing shows whether it was done"
        )

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except ActionApiError as exc:
                _log.warning("open actions were not looked at: %s", exc)
            except Exception:  # noqa: BLE001 (the thread has to live on)
                _log.exception("the sweep of open actions failed")
            if self._stop.wait(self._settings.sweep_seconds):
                return
