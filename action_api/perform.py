"""One action from the wish to the outcome: plan, rights, intent, deed, outcome; the ledger first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from json import dumps
from typing import Any
from uuid import UUID, uuid4

from celerytrail.action_api.action import ActionRequest, Outcome, Plan, TaskResult, Verb
from celerytrail.action_api.actor import Actor
from celerytrail.action_api.broker.errors import BrokerUncertain
from celerytrail.action_api.errors import ActionApiError, Refused, Unavailable
from celerytrail.action_api.intents.lease import Lease
from celerytrail.action_api.intents.settings import IntentSettings
from celerytrail.action_api.intents.unwritten import Unwritten
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import Begun
from celerytrail.exporter.deployment import Deployment

Authorise = Callable[[Actor, str, Deployment], None]
"""Raises NotAllowed unless the actor may do the verb on the deployment."""

POLL_SECONDS = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PerformedAction:
    """What an action came to; ``duplicate`` when it was ``actor``'s earlier one that is told.

    ``same_key`` says that it was found by its idempotency key, and not by what it is on.
    """

    action_id: UUID
    verb: str
    outcome: Outcome
    duplicate: bool
    actor: str
    same_key: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """What every action needs: the ledger, the bounds, and outcomes that still have to be written."""

    ledger: Ledger
    settings: IntentSettings
    unwritten: Unwritten


def perform(
    request: ActionRequest, verb: Verb, authorise: Authorise, bench: Bench
) -> PerformedAction:
    """Do what was asked for, at most once.

    The right is checked for the deployment that was named, and for that of the row that the plan
    found. A second wish for the
    same thing gets the outcome of the first. Raises whatever the plan and ``authorise`` raise,
    Refused (code ``idempotency_conflict`` or ``in_progress``), and Unavailable where nothing was
    done. Whatever goes wrong after a broker may have been touched is an outcome, not an error.
    """
    # Before the plan, so that who may do nothing there makes no broker answer and learns nothing.
    authorise(request.actor, request.verb, request.deployment)
    plan = verb.plan(request)
    if plan.deployment != request.deployment:
        authorise(request.actor, request.verb, plan.deployment)
    settings = bench.settings
    intent_id = uuid4()
    begun_at = time.monotonic()
    try:
        begun = bench.ledger.begin_intent(
            intent_id,
            request,
            plan,
            request_hash=_request_hash(request),
            holder=settings.holder,
            lease_seconds=settings.lease_seconds,
            recent_seconds=_recent_seconds(verb, settings),
        )
    except Unavailable as exc:
        # The row may have been committed all the same; then it must not wait for its lease.
        bench.unwritten.add(intent_id, Outcome("failed", f"nothing was done: {exc}"))
        raise
    if begun.result == "key_conflict":
        raise Refused(
            "this Idempotency-Key was used for another request: take a new one",
            code="idempotency_conflict",
        )
    if begun.result != "new":
        return _earlier(bench, request, begun)
    outcome = _under_lease(verb, plan, bench, intent_id, begun_at)
    return PerformedAction(intent_id, request.verb, outcome, False, request.actor.label)


def _under_lease(verb: Verb, plan: Plan, bench: Bench, intent_id: UUID, begun_at: float) -> Outcome:
    error: ActionApiError | None = None
    with Lease(bench.ledger, intent_id, bench.settings, begun_at) as lease:
        try:
            outcome = verb.perform(plan, lease)
        except BrokerUncertain as exc:
            outcome = Outcome("unknown", str(exc), detail={"code": exc.code})
        except ActionApiError as exc:  # by contract of Verb: nothing was done
            error = exc
            outcome = Outcome("failed", str(exc), detail={"code": exc.code})
        except Exception:  # noqa: BLE001 (an action always gets an outcome)
            _log.exception("action %s (%s) broke off", intent_id, verb.name)
            outcome = Outcome(
                "unknown",
                f"the action broke off by a fault of its own; look for action {intent_id} in the log",
            )
        outcome = _written(bench, intent_id, outcome)
    if error is not None:
        raise error
    return outcome


def _written(bench: Bench, intent_id: UUID, outcome: Outcome) -> Outcome:
    """Write the outcome, and return what may be said of it."""
    try:
        if bench.ledger.finish_intent(intent_id, bench.settings.holder, outcome):
            return outcome
    except ActionApiError as exc:
        _log.warning("the outcome of action %s was not written: %s", intent_id, exc)
        bench.unwritten.add(intent_id, outcome)
        if outcome.state == "failed":
            return outcome
        return replace(
            outcome,
            state="unknown",
            message=f"{outcome.message}. But the database could not be told: the audit log will "
            "show the outcome when it is back",
        )
    # Whoever took it can only look for it; the sweep of this process says it as soon as it may.
    bench.unwritten.add(intent_id, outcome)
    return replace(
        outcome,
        state="unknown",
        message=f"{outcome.message}. But another process had taken the action for dead: "
        "see the audit log",
    )


def _earlier(bench: Bench, request: ActionRequest, begun: Begun) -> PerformedAction:
    """Wait, for a bounded time, for the outcome of the action that was first."""
    deadline = time.monotonic() + bench.settings.wait_seconds
    state, document, actor = begun.state, begun.outcome, begun.actor
    while state == "open":
        if time.monotonic() > deadline:
            raise Refused(
                f"{actor} asked for the same, and it is still being done: ask for the action again",
                code="in_progress",
                extra={"action_id": str(begun.intent_id), "actor": actor},
            )
        time.sleep(POLL_SECONDS)
        found = bench.ledger.intent_state(begun.intent_id)
        if found is not None:
            state, document, actor = found.state, found.outcome, found.actor
    outcome = outcome_from_document(state or "unknown", document)
    same_key = begun.result == "same_key"
    return PerformedAction(begun.intent_id, request.verb, outcome, True, actor or "", same_key)


def outcome_from_document(state: str, document: Mapping[str, Any] | None) -> Outcome:
    """Return an outcome as it was before ``ledger.outcome_document``."""
    said = dict(document or {})
    tasks = said.pop("tasks", None) or ()
    message = said.pop("message", None) or ""
    return Outcome(
        state,
        message,
        tuple(
            TaskResult(
                task.get("task_id") or "",
                task.get("result") or "",
                task.get("new_task_id"),
                task.get("message"),
            )
            for task in tasks
        ),
        said,
    )


def _recent_seconds(verb: Verb, settings: IntentSettings) -> float:
    # A verb that may well be wanted again soon says so; a double click is still one action.
    own = getattr(verb, "recent_seconds", None)
    return settings.recent_seconds if own is None else min(float(own), settings.recent_seconds)


def _request_hash(request: ActionRequest) -> bytes:
    deployment = request.deployment
    asked = [
        request.verb,
        [deployment.namespace, deployment.service, deployment.environment],
        dict(request.parameters),
        request.reason,
    ]
    return sha256(dumps(asked, sort_keys=True).encode()).digest()
