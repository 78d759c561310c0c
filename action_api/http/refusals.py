"""Writes every refusal into the ledger, and keeps a flood of them from filling it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from celerytrail.action_api.actor import Actor
from celerytrail.action_api.config import Limits
from celerytrail.action_api.errors import ActionApiError
from celerytrail.action_api.http.metrics import Metrics
from celerytrail.exporter.deployment import Deployment

_log = logging.getLogger(__name__)

NOBODY = "unauthenticated"
MANY = "many"
"""Whom a sum is about when more actors were refused at once than are counted apart."""

SUMMARY_VERB = "refusals"
WINDOW_SECONDS = 60.0
PAUSE_SECONDS = 5.0
"""After the database did not answer, so long nothing is asked of it: a refusal must stay cheap."""

MAX_ACTORS = 1_000


class Audit(Protocol):
    """The part of the ledger that is needed here."""

    def append_refusal(
        self,
        *,
        verb: str,
        actor: str,
        actor_kind: str,
        role: str | None = None,
        deployment: Deployment | None = None,
        request_id: str | None = None,
        target: Mapping[str, Any] | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> object:
        """Write one row of phase ``refused``; raises ActionApiError when it cannot."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that was refused. ``code`` is what the caller was told, ``why`` the finer reason.

    ``claimed`` is what somebody who was not recognised said to be, for a person to read; nothing
    is decided by it.
    """

    verb: str
    code: str
    why: str
    request_id: str
    actor: Actor | None = None
    deployment: Deployment | None = None
    target: Mapping[str, Any] | None = None
    claimed: Mapping[str, str] | None = None


@dataclass(slots=True)
class _Window:
    name: str
    began: float
    actor: Actor | None
    written: int = 0
    summed: Counter[str] = field(default_factory=Counter)


class Refusals:
    """Counts, logs and records refusals; safe to use from several threads.

    Within a minute the first so many of each actor, and of all that nobody was recognised behind,
    become a row each. The others become one row at the end of the minute, with their number and
    reasons. While the database is away they are summed up too.
    """

    def __init__(
        self,
        ledger: Audit,
        limits: Limits,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._away_until = float("-inf")
        self._timer: threading.Timer | None = None
        self._closed = False

    def record(self, refusal: Refusal) -> None:
        """Write down one refusal, at once or in the sum of its minute. Raises nothing of its own."""
        name = refusal.actor.label if refusal.actor else NOBODY
        self._metrics.refused.labels(refusal.code, refusal.why).inc()
        _log.warning(
            "refused: %s by %s: %s (%s), request %s",
            refusal.verb,
            name,
            refusal.code,
            refusal.why,
            refusal.request_id,
        )
        if self._take_row(name, refusal) and not self._write(refusal):
            self._metrics.refusals_unrecorded.inc()
            self._sum_up(name, refusal)

    def flush(self, *, all_windows: bool = False) -> None:
        """Write the sums of the minutes that have ended; with ``all_windows`` those still open too."""
        now = self._clock()
        with self._lock:
            ended = [
                name
                for name, window in self._windows.items()
                if all_windows or now - window.began >= WINDOW_SECONDS
            ]
            windows = [self._windows.pop(name) for name in ended]
        for window in windows:
            if window.summed and not self._write_sum(window):
                self._keep(window)

    def close(self) -> None:
        """Write what is left, once; no row is promised when the database is away."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
        self._away_until = float("-inf")
        self.flush(all_windows=True)

    def _take_row(self, name: str, refusal: Refusal) -> bool:
        """Say whether this one gets a row of its own; else it is counted for the sum."""
        most = (
            self._limits.refusals_per_minute_per_actor
            if refusal.actor
            else self._limits.unauthenticated_refusals_per_minute
        )
        self.flush()
        with self._lock:
            window = self._window(name, refusal.actor)
            if window.written < most and self._clock() >= self._away_until:
                window.written += 1
                return True
        self._sum_up(name, refusal)
        return False

    def _sum_up(self, name: str, refusal: Refusal) -> None:
        self._metrics.refusals_summed.inc()
        with self._lock:
            self._window(name, refusal.actor).summed[refusal.why] += 1
            self._schedule()

    def _window(self, name: str, actor: Actor | None) -> _Window:
        if name not in self._windows and len(self._windows) >= MAX_ACTORS:
            name, actor = MANY, None
        return self._windows.setdefault(name, _Window(name, self._clock(), actor))

    def _schedule(self) -> None:
        """Have the sums written when the minute is over, though no further request may come."""
        if self._closed or (self._timer is not None and self._timer.is_alive()):
            return
        self._timer = threading.Timer(WINDOW_SECONDS, self._on_time)
        self._timer.daemon = True
        self._timer.start()

    def _on_time(self) -> None:
        self.flush()
        with self._lock:
            self._timer = None
            if any(window.summed for window in self._windows.values()):
                self._schedule()

    def _keep(self, window: _Window) -> None:
        """Put a sum that could not be written into the minute that runs now."""
        with self._lock:
            self._window(window.name, window.actor).summed.update(window.summed)
            self._schedule()

    def _write(self, refusal: Refusal) -> bool:
        actor = refusal.actor
        detail: dict[str, Any] = {"code": refusal.code, "why": refusal.why}
        if actor is not None:
            detail["subject"] = actor.subject
        if refusal.claimed:
            detail["claimed"] = dict(refusal.claimed)
        return self._append(
            verb=refusal.verb,
            actor=actor.label if actor else NOBODY,
            actor_kind=actor.kind if actor else NOBODY,
            role=actor.role.name.lower() if actor else None,
            deployment=refusal.deployment,
            request_id=refusal.request_id,
            target=refusal.target,
            detail=detail,
        )

    def _write_sum(self, window: _Window) -> bool:
        actor = window.actor
        return self._append(
            verb=SUMMARY_VERB,
            actor=window.name,
            actor_kind=actor.kind if actor else window.name,
            role=actor.role.name.lower() if actor else None,
            detail={
                "code": "too_many_refusals",
                "count": sum(window.summed.values()),
                "why": dict(window.summed),
                "seconds": int(self._clock() - window.began),
            },
        )

    def _append(self, **row: Any) -> bool:
        if self._clock() < self._away_until:
            return False
        try:
            self._ledger.append_refusal(**row)
        except ActionApiError as exc:
            self._away_until = self._clock() + PAUSE_SECONDS
            _log.error("a refusal was not written into the ledger: %s", exc)
            return False
        return True
