"""Retry: the arguments of a task that has ended, once more, as a task of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from celerytrail.action_api.action import ActionRequest, Intent, Outcome, Plan, TaskResult
from celerytrail.action_api.actor import Role
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import ExpiredIntent
from celerytrail.action_api.verbs.resend import body_alone, outgoing
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.action_api.verbs.stored_message import open_message, require_allowed_content
from celerytrail.action_api.verbs.target import find_task, require_ended, target_key
from celerytrail.exporter.sealed import Message


@dataclass(frozen=True, slots=True)
class _Resend:
    task_id: str
    message: Message
    body: bytes


def new_task_id(intent_id: UUID, task_id: str) -> str:
    """Return the id of the task that an intent sends in place of another: always the same."""
    return str(uuid5(intent_id, task_id))


class Retry:
    """Sends a task's original arguments again, without what followed it in a chain or chord."""

    name = "retry"
    minimum_role = Role.OPERATOR

    def __init__(self, ledger: Ledger, brokers: Brokers, settings: VerbSettings) -> None:
        self._ledger = ledger
        self._brokers = brokers

    def plan(self, request: ActionRequest) -> Plan:
        """Find the task, open its message and take it apart; no broker is asked."""
        broker = self._brokers.of(request.deployment)
        task = find_task(self._ledger, request)
        require_ended(task)
        message = open_message(self._ledger, broker.settings, task.task_id)
        kind = require_allowed_content(message, broker.settings)
        body = body_alone(message, kind)
        outgoing(message, body, task.task_id)  # what cannot be sent is refused before the intent
        return Plan(
            deployment=broker.settings.deployment,
            target={
                "task_id": task.task_id,
                "task_name": task.task_name,
                "attempt": task.retries,
                # Where to look for the new message when this process dies.
                "queue": task.queue if message.exchange else message.routing_key,
            },
            target_key=target_key("task", task.task_id, task.retries or 0),
            details=_Resend(task.task_id, message, body),
        )

    def preview(self, plan: Plan) -> Mapping[str, Any]:
        """Say which task would be sent again, and where to."""
        return dict(plan.target)

    def perform(self, plan: Plan, intent: Intent) -> Outcome:
        """Send it."""
        resend: _Resend = plan.details
        new_id = new_task_id(intent.intent_id, resend.task_id)
        message = outgoing(resend.message, resend.body, new_id)
        self._brokers.of(plan.deployment).publish(message, intent.still_ours)
        return _sent(
            resend.task_id,
            new_id,
            f"sent again as {new_id}",
            {"body_sha256": message.digest, "content_type": message.content_type},
        )

    def recover(self, expired: ExpiredIntent, *, last_look: bool) -> Outcome | None:
        """Look for the new task in the ledger, then for its message in the queue."""
        task_id = str(expired.target.get("task_id") or "")
        new_id = new_task_id(expired.intent_id, task_id)
        if self._ledger.known_tasks(expired.deployment, [new_id]):
            return _sent(task_id, new_id, f"found: it was sent again as {new_id}", {})
        queue = expired.target.get("queue")
        broker = self._brokers.of(expired.deployment)
        # Each look into a queue of RabbitMQ counts as a delivery of all that is seen: one has to do.
        look = isinstance(queue, str) and queue != ""
        if look and broker.holds_task(str(queue), new_id, may_take=last_look):
            return _sent(task_id, new_id, f"found: {new_id} waits in its queue", {})
        if not last_look:
            return None
        return Outcome(
            "unknown",
            f"the process that did this died, and {new_id}, the task it would have sent, was not "
            "seen: look whether it ran before you retry again",
            (TaskResult(task_id, "unknown", new_id),),
        )


def _sent(task_id: str, new_id: str, message: str, detail: Mapping[str, Any]) -> Outcome:
    return Outcome("succeeded", message, (TaskResult(task_id, "sent", new_id),), detail)
