"""Purge: takes the messages out of a queue that somebody saw there, and writes down each one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from celerytrail.action_api.action import ActionRequest, Intent, Outcome, Plan, TaskResult
from celerytrail.action_api.actor import Role
from celerytrail.action_api.broker.broker import Broker
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.broker.errors import BrokerUncertain
from celerytrail.action_api.broker.queue_state import QueueState
from celerytrail.action_api.broker.taking import Taken, Taking
from celerytrail.action_api.errors import (
    ActionApiError,
    BadRequest,
    NotFound,
    Refused,
    Unavailable,
)
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.queues import oldest_age_seconds, sample
from celerytrail.action_api.rows import ExpiredIntent
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.action_api.verbs.target import required, target_key

MAX_NAMED = 1_000
"""So many tasks are named in the answer; every one is named in the progress rows of the ledger."""


@dataclass(frozen=True, slots=True)
class _Purge:
    queue: str
    state: QueueState | None
    most: int | None


@dataclass(slots=True)
class _Removed:
    """What a purge has done so far."""

    count: int = 0
    strangers: int = 0
    named: list[str] = field(default_factory=list)
    unwritten: list[dict[str, Any]] = field(default_factory=list)

    def add(self, taken: list[Taken]) -> None:
        self.count += len(taken)
        ids = [one.about["task_id"] for one in taken]
        self.strangers += ids.count(None)
        self.named += [one for one in ids if one is not None][: MAX_NAMED - len(self.named)]

    def outcome(self, state: str, message: str, in_flight: list[str] | None = None) -> Outcome:
        tasks = [TaskResult(task_id, "purged") for task_id in self.named]
        tasks += [
            TaskResult(task_id, "unknown", message="in flight when the broker or process failed")
            for task_id in in_flight or ()
        ]
        detail: dict[str, Any] = {"removed": self.count, "not_tasks": self.strangers}
        if self.unwritten:  # the tasks are purged whichever row says so
            detail["purged"] = self.unwritten
        if in_flight:
            detail["in_flight"] = len(in_flight)
        return Outcome(state, message, tuple(tasks), detail)


class Purge:
    """Removes what was seen in a queue, and not what came since."""

    name = "purge"
    minimum_role = Role.ADMIN
    recent_seconds = 5.0
    """A queue fills again: only a double click is the same purge."""

    def __init__(self, ledger: Ledger, brokers: Brokers, settings: VerbSettings) -> None:
        self._ledger = ledger
        self._brokers = brokers
        self._settings = settings

    def plan(self, request: ActionRequest) -> Plan:
        """Read the depth of the queue, and compare it with the depth that was seen.

        Raises NotFound, Refused (codes ``queue_not_allowed``, ``depth_grown``), Unavailable. Without
        ``seen_depth`` the plan is good for a preview only.
        """
        broker = self._brokers.of(request.deployment)
        queue = required(request, "queue")
        state = self._state(broker, queue)
        depth = state.depth if state is not None else 0
        seen = _seen_depth(request)
        most = None
        if seen is not None:
            most = seen + max(1, math.floor(seen * self._settings.purge_growth_percent / 100))
            if depth > most:
                raise Refused(
                    f"queue {queue} has grown since you looked: {depth} messages, and you saw "
                    f"{seen}. Look again",
                    code="depth_grown",
                    extra={"depth": depth, "seen_depth": seen},
                )
        return Plan(
            deployment=broker.settings.deployment,
            target={"queue": queue, "depth": depth, "seen_depth": seen},
            target_key=target_key("queue", queue),
            details=_Purge(queue, state, most),
        )

    def preview(self, plan: Plan) -> Mapping[str, Any]:
        """Say how many messages there are, how old, and which are next."""
        purge: _Purge = plan.details
        broker = self._brokers.of(plan.deployment)
        return {
            "queue": purge.queue,
            "depth": plan.target["depth"],
            "oldest_age_seconds": oldest_age_seconds(self._ledger, plan.deployment, purge.state),
            "sample": sample(self._ledger, broker, purge.queue) if plan.target["depth"] else [],
        }

    def perform(self, plan: Plan, intent: Intent) -> Outcome:
        """Take, write down, remove; in chunks, until what was seen is gone."""
        purge: _Purge = plan.details
        if purge.most is None:
            raise BadRequest("seen_depth has to be given: how many messages you saw in the queue")
        depth = 0 if purge.state is None else purge.state.depth
        # Not up to what was seen: where workers took some of it, nobody saw what came since.
        most = min(purge.most, depth, self._settings.purge_most)
        removed = _Removed()
        deadline = time.monotonic() + self._settings.purge_seconds
        broker = self._brokers.of(plan.deployment)
        if purge.state is None:
            return removed.outcome("succeeded", f"queue {purge.queue} was empty")
        in_flight: list[str] = []
        try:
            with Taking(broker.connections, purge.queue, broker.bounds.total_seconds) as taking:
                while removed.count < most:
                    if time.monotonic() > deadline:
                        return removed.outcome(
                            "partial",
                            f"{removed.count} messages removed when the time was over: purge again",
                        )
                    if not intent.still_ours():
                        raise Unavailable("another process has taken this action over")
                    taken = taking.take(min(self._settings.purge_chunk, most - removed.count))
                    if not taken:
                        break
                    about = [dict(one.about) for one in taken]
                    intent.progress({"taking": about})
                    in_flight = [one["task_id"] or one["sha256"] for one in about]
                    taking.remove(taken)
                    in_flight = []
                    removed.add(taken)
                    removed.unwritten = about
                    intent.progress({"purged": about})
                    removed.unwritten = []
        except BrokerUncertain as exc:
            return removed.outcome(
                "unknown" if not removed.count else "partial",
                f"{removed.count} messages removed, {len(in_flight)} may be: {exc}",
                in_flight,
            )
        except ActionApiError as exc:
            if not removed.count:
                raise
            return removed.outcome(
                "partial", f"{removed.count} messages removed, then it stopped: {exc}", in_flight
            )
        return removed.outcome("succeeded", f"{removed.count} messages removed")

    def recover(self, expired: ExpiredIntent, *, last_look: bool) -> Outcome | None:
        """List what was removed, and what was in flight when the process died."""
        taking: dict[str, None] = {}
        purged: set[str] = set()
        count = 0
        for row in expired.progress:
            for one in row.get("taking") or ():
                taking[_name(one)] = None
            for one in row.get("purged") or ():
                purged.add(_name(one))
                count += 1
        in_flight = [name for name in taking if name not in purged]
        removed = _Removed(count=count, named=sorted(purged)[:MAX_NAMED])
        return removed.outcome(
            "unknown",
            f"the process that did this died: {count} messages were removed, {len(in_flight)} may "
            "have been",
            in_flight,
        )

    def _state(self, broker: Broker, queue: str) -> QueueState | None:
        allowed = broker.settings.queues
        if allowed and queue not in allowed:
            raise Refused(
                f"queue {queue} of {broker.settings.deployment.label} is not among those that may "
                "be purged: add it to queues in its [[deployment]]",
                code="queue_not_allowed",
            )
        # On Redis any list would do for a queue: only names that Celery used are asked for.
        known = queue in allowed or self._ledger.queue_is_known(broker.settings.deployment, queue)
        state = broker.queue_state(queue) if known else None
        if not known:
            raise NotFound(f"queue {queue} is not known in {broker.settings.deployment.label}")
        return state


def _seen_depth(request: ActionRequest) -> int | None:
    text = request.parameters.get("seen_depth")
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise BadRequest("seen_depth has to be a whole number: how many messages you saw")
    return int(text)


def _name(about: Any) -> str:
    if not isinstance(about, dict):
        return str(about)
    return str(about.get("task_id") or about.get("sha256") or "")
