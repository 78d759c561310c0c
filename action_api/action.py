"""What passes between the HTTP side, the rules and the verbs: a request, a plan, an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from celerytrail.action_api.actor import Actor, Role
from celerytrail.exporter.deployment import Deployment


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One wish of one actor, after authentication and before anything was looked up.

    ``parameters`` are the verb's own, checked for shape by the HTTP side. ``deployment`` is what the
    caller named; the verb takes the deployment of the row it finds, never this one alone.
    """

    verb: str
    deployment: Deployment
    parameters: Mapping[str, str]
    actor: Actor
    request_id: str
    reason: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a verb is about to do, from rows of the ledger and before any broker was asked.

    ``deployment`` is that of the row. ``target`` is what the action row of the ledger says it is
    on (JSON, no user data). ``target_key`` names the one thing that two operators must not do
    twice: ``task/<id>/<attempt>``, ``group/<id>``, ``queue/<name>``. ``details`` is the verb's own
    and goes to ``perform`` untouched.
    """

    deployment: Deployment
    target: Mapping[str, Any]
    target_key: str
    details: Any = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of one task of an action.

    ``result`` is one of ``sent`` (``new_task_id`` is the task that was sent in its place),
    ``revoked``, ``purged``, ``skipped``, ``failed``; ``message`` says why, without user data.
    """

    task_id: str
    result: str
    new_task_id: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended: ``succeeded``, ``failed`` (nothing was done), ``partial`` or ``unknown``.

    ``detail`` goes into the ledger beside the tasks: counts, hashes of what was published, replies
    of workers. No user data.
    """

    state: str
    message: str
    tasks: tuple[TaskResult, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


class Intent(Protocol):
    """The open action, as a verb sees it while it performs."""

    @property
    def intent_id(self) -> UUID:
        """Return the id of the intent: ``uuid5(intent_id, task id)`` is the id of a new task."""

    def progress(self, detail: Mapping[str, Any]) -> None:
        """Write a row of phase ``progress`` into the ledger, committed when this returns."""

    def still_ours(self) -> bool:
        """Say whether the lease still holds: check it right before the broker is touched."""


class Verb(Protocol):
    """One action that operators can do; each lives in a module of ``verbs`` named for it."""

    name: str
    minimum_role: Role

    def plan(self, request: ActionRequest) -> Plan:
        """Find the target and check that the action makes sense.

        Raises NotFound, BadRequest, Refused or Unavailable. Must not touch a broker, but for the
        depth of a queue.
        """

    def preview(self, plan: Plan) -> Mapping[str, Any]:
        """Say what ``perform`` would do: counts and a sample, JSON, no user data."""

    def perform(self, plan: Plan, intent: Intent) -> Outcome:
        """Do it. Raises Unavailable only where nothing was done; else the outcome says what was."""
