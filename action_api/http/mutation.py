"""From the parameters of a route to an action that was performed, or to its preview."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import request

from celerytrail.action_api.action import ActionRequest
from celerytrail.action_api.actor import Actor
from celerytrail.action_api.errors import BadRequest, Refused
from celerytrail.action_api.http.confirmation import Confirmed
from celerytrail.action_api.http.gate import identity, request_id
from celerytrail.action_api.http.services import services
from celerytrail.action_api.perform import PerformedAction
from celerytrail.action_api.rights import require_right
from celerytrail.exporter.deployment import Deployment

IDEMPOTENCY_KEY = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,128}")
_SHARED = ("namespace", "service", "environment", "reason", "confirmation")
TARGETS = {"purge": "queue", "retry-chord": "group_id"}
"""The verbs that have a preview, and which parameter says what they are on."""


def act(verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Do a verb and return the answer: the members of ``schemas.ActionAnswer``.

    ``perform`` asks for the right twice: for the deployment that the caller names, before anything
    is looked up there, and for that of what was found.
    """
    confirmed = _confirmed(verb, parameters)
    wish = _wish(verb, parameters, confirmed)
    try:
        done = services().perform(wish, services().verbs[verb], _authorise)
    except Refused as exc:
        if confirmed is not None and exc.code == "idempotency_conflict":
            raise _used() from exc
        raise
    if confirmed is not None and done.same_key:
        raise _used()
    metrics = services().metrics
    if done.duplicate:
        metrics.duplicates.labels(verb).inc()
    else:
        metrics.performed.labels(verb, done.outcome.state).inc()
    return _answer(done)


def preview(verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Look what a verb would do, and return that with a confirmation for doing it."""
    wish = _wish(verb, parameters, None)
    _authorise(wish.actor, verb, wish.deployment)
    planned = services().verbs[verb]
    plan = planned.plan(wish)
    _authorise(wish.actor, verb, plan.deployment)
    found = dict(planned.preview(plan))
    name = TARGETS[verb]
    counted = {"seen_depth": found.get("depth"), "seen_members": found.get("members")}
    confirmations = services().confirmations
    token = confirmations.make(
        identity(),
        verb,
        wish.deployment,
        {name: parameters[name]},
        {name: number for name, number in counted.items() if isinstance(number, int)},
    )
    return {
        "confirmation": token,
        "expires_in_seconds": confirmations.seconds,
        "preview": found,
    }


def deployment_of(parameters: Mapping[str, Any]) -> Deployment:
    """Return the deployment that the parameters name."""
    return Deployment(parameters["namespace"], parameters["service"], parameters["environment"])


def _authorise(actor: Actor, verb: str, deployment: Deployment) -> None:
    require_right(services().config, actor, verb, deployment)


def _confirmed(verb: str, parameters: Mapping[str, Any]) -> Confirmed | None:
    token = parameters.get("confirmation")
    if token is None:
        return None
    if request.headers.get(IDEMPOTENCY_KEY) is not None:
        raise BadRequest(f"a confirmation is used once by itself: leave out {IDEMPOTENCY_KEY}")
    name = TARGETS[verb]
    return services().confirmations.check(
        token, identity(), verb, deployment_of(parameters), {name: parameters[name]}
    )


def _wish(verb: str, parameters: Mapping[str, Any], confirmed: Confirmed | None) -> ActionRequest:
    own = {
        name: str(value)
        for name, value in parameters.items()
        if name not in _SHARED and value is not None
    }
    if confirmed is not None:
        own |= {name: str(number) for name, number in confirmed.seen.items()}
    return ActionRequest(
        verb=verb,
        deployment=deployment_of(parameters),
        parameters=own,
        actor=identity().actor,
        request_id=request_id(),
        reason=parameters.get("reason"),
        idempotency_key=confirmed.idempotency_key if confirmed else _key(),
    )


def _key() -> str | None:
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None and _KEY.fullmatch(key) is None:
        raise BadRequest(f"{IDEMPOTENCY_KEY}: has to be 1 to 128 visible ASCII characters")
    return key


def _used() -> Refused:
    return Refused(
        "the confirmation was used already: look at the preview again", code="confirmation_used"
    )


def _answer(done: PerformedAction) -> dict[str, Any]:
    return {
        "action_id": done.action_id,
        "verb": done.verb,
        "state": done.outcome.state,
        "message": done.outcome.message,
        "duplicate": done.duplicate,
        "actor": done.actor,
        "tasks": done.outcome.tasks,
        "new_group_id": done.outcome.detail.get("group_id"),
    }
