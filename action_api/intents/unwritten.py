"""Outcomes that the database could not be told: kept until it can."""

from __future__ import annotations

import logging
from collections import OrderedDict
from threading import Lock
from uuid import UUID

from celerytrail.action_api.action import Outcome
from celerytrail.action_api.errors import ActionApiError, Unavailable
from celerytrail.action_api.ledger import Ledger

MAX_KEPT = 10_000
_log = logging.getLogger(__name__)


class Unwritten:
    """Outcomes by intent, the oldest dropped beyond a bound: the sweep then finds what it can."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[UUID, Outcome] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._outcomes)

    def add(self, intent_id: UUID, outcome: Outcome) -> None:
        """Keep an outcome to be written later."""
        with self._lock:
            self._outcomes[intent_id] = outcome
            while len(self._outcomes) > MAX_KEPT:
                self._outcomes.popitem(last=False)

    def get(self, intent_id: UUID) -> Outcome | None:
        """Return the outcome that waits for an intent, None where there is none."""
        return self._outcomes.get(intent_id)

    def write(self, ledger: Ledger, holder: str) -> None:
        """Write what can be written now. Raises nothing: what cannot stays for the next time."""
        with self._lock:
            waiting = list(self._outcomes.items())
        for intent_id, outcome in waiting:
            try:
                written = ledger.finish_intent(intent_id, holder, outcome)
                if not written:
                    # Another sweep may hold it for a moment; what it cannot find out we know.
                    state = ledger.intent_state(intent_id)
                    if state is not None and state.state == "open":
                        continue
            except Unavailable:
                return
            except ActionApiError as exc:
                _log.error("the outcome of action %s cannot be written: %s", intent_id, exc)
            with self._lock:
                self._outcomes.pop(intent_id, None)
