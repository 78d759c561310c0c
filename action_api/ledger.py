"""The action API's side of the ledger: intents, outcomes, refusals, and what is known of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid4

from celerytrail.action_api.action import ActionRequest, Outcome, Plan
from celerytrail.action_api.actor import Actor
from celerytrail.action_api.json_text import json_text
from celerytrail.action_api.ledger_pool import LedgerPool, LedgerRefused, Row
from celerytrail.action_api.rows import (
    ApiToken,
    Begun,
    ExpiredIntent,
    IntentState,
    StoredMessage,
    TaskRow,
)
from celerytrail.exporter.deployment import Deployment
from celerytrail.sql.errors import SqlError
from celerytrail.sql.migrate import require_schema
from celerytrail.sql.named_queries import queries
from celerytrail.sql.server_pool import Connection


class Ledger(LedgerPool):
    """What the action API reads and writes, as the role celerytrail_actions; safe to use from several threads.

    Every method raises Unavailable when the database does not answer in time, and LedgerRefused
    when it does and will not have what was asked.
    """

    def ready(self) -> None:
        """Return when an action could be written down now."""

        try:
            self.transaction(require_schema)
        except SqlError as exc:
            raise LedgerRefused(str(exc)) from exc

    def guards(self) -> list[str]:
        """Return the catalog objects that are not as designed, each named; empty when all is well."""

        def look(connection: Connection) -> list[str]:
            return [str(row[0]) for row in connection.execute(queries("guards")["wrong"])]

        return self.transaction(look)

    def authenticate_api_token(self, token_hash: bytes) -> ApiToken | None:
        """Return whom a token speaks for, given its SHA-256; None when it is not valid."""
        row = self.row("authenticate_api_token", {"token_hash": token_hash})
        if row is None:
            return None
        return ApiToken(
            str(row["token_id"]),
            row["name"],
            Deployment(row["namespace"], row["service"], row["environment"]),
            frozenset(row["scopes"] or ()),
        )

    def begin_intent(
        self,
        intent_id: UUID,
        request: ActionRequest,
        plan: Plan,
        *,
        request_hash: bytes,
        holder: str,
        lease_seconds: float,
        recent_seconds: float,
    ) -> Begun:
        """Write the intent, unless the same thing was asked for already; committed on return."""
        row = self.one(
            "begin_intent",
            {
                **_deployment(plan.deployment),
                **_actor(request.actor),
                "intent_id": intent_id,
                "verb": request.verb,
                "request_id": request.request_id,
                # A login can be changed by its owner, and a token's name be given again.
                "target": json_text({**plan.target, "subject": request.actor.subject}),
                "target_key": plan.target_key,
                "idempotency_key": request.idempotency_key,
                "request_hash": request_hash,
                "reason": request.reason,
                "holder": holder,
                "lease_seconds": lease_seconds,
                "recent_seconds": recent_seconds,
            },
        )
        return Begun(row["result"], row["intent_id"], row["state"], row["outcome"], row["actor"])

    def renew_lease(self, intent_id: UUID, holder: str, lease_seconds: float) -> bool:
        """Hold an intent for longer; false when it is finished, or another's by now."""
        values = {"intent_id": intent_id, "holder": holder, "lease_seconds": lease_seconds}
        return bool(self.value("renew_lease", values))

    def progress_intent(self, intent_id: UUID, holder: str, detail: Mapping[str, Any]) -> bool:
        """Write a row of phase ``progress``; false as for ``renew_lease``."""
        values = {"intent_id": intent_id, "holder": holder, "detail": json_text(detail)}
        return bool(self.value("progress_intent", values))

    def finish_intent(self, intent_id: UUID, holder: str, outcome: Outcome) -> bool:
        """Write the outcome; false when there is one, or the intent is another's by now."""
        values = {
            "intent_id": intent_id,
            "holder": holder,
            "state": outcome.state,
            "outcome": json_text(outcome_document(outcome)),
        }
        return bool(self.value("finish_intent", values))

    def take_expired_intents(self, holder: str, lease_seconds: float) -> list[ExpiredIntent]:
        """Take over every open intent whose lease ran out; nobody else gets the same ones."""
        rows = self.rows("take_expired_intents", {"holder": holder, "lease_seconds": lease_seconds})
        return [
            ExpiredIntent(
                row["intent_id"],
                row["verb"],
                Deployment(row["namespace"], row["service"], row["environment"]),
                row["target"] or {},
                row["target_key"],
                row["actor"],
                (row["now"] - row["created_at"]).total_seconds(),
                tuple(row["progress"] or ()),
            )
            for row in rows
        ]

    def intent_state(self, intent_id: UUID) -> IntentState | None:
        """Return where an intent stands, None for one that is not known."""
        row = self.row("intent_state", {"intent_id": intent_id})
        if row is None:
            return None
        deployment = Deployment(
            row.pop("namespace") or "", row.pop("service") or "", row.pop("environment") or ""
        )
        return IntentState(deployment, **row)

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
    ) -> UUID:
        """Write down that something was asked for and refused; return the id of the row."""
        action_id = uuid4()
        self.value(
            "append_refusal",
            {
                "action_id": action_id,
                "verb": verb,
                "actor": actor,
                "actor_kind": actor_kind,
                "role": role,
                "namespace": deployment.namespace if deployment else None,
                "service": deployment.service if deployment else None,
                "environment": deployment.environment if deployment else None,
                "request_id": request_id,
                "target": None if target is None else json_text(target),
                "detail": None if detail is None else json_text(detail),
            },
        )
        return action_id

    def message_for_retry(self, deployment: Deployment, task_id: str) -> StoredMessage | None:
        """Return the newest message of a task; None when none was ever committed to."""
        row = self.row("message_for_retry", {**_deployment(deployment), "task_id": task_id})
        if row is None:
            return None
        return StoredMessage(
            body=row["body"],
            salt=row["salt"],
            commitment=row["commitment"],
            retries=row["retries"],
            stream_id=row["stream_id"],
            seq=row["seq"],
            withheld=row["withheld"],
            span_commitment=row["span_commitment"],
            deployment=Deployment(
                row["payload_namespace"] or "",
                row["payload_service"] or "",
                row["payload_environment"] or "",
            ),
            task_id=row["payload_task_id"],
            block_fault=row["block_fault"],
            verification=row["verification"],
        )

    def task(self, deployment: Deployment, task_id: str) -> TaskRow | None:
        """Return a task of a deployment, None for one that was never heard of."""
        row = self.row("task", {**_deployment(deployment), "task_id": task_id})
        return None if row is None else TaskRow(**row)

    def group_members(self, deployment: Deployment, group_id: str, most: int) -> list[TaskRow]:
        """Return at most ``most`` tasks of a group, those that were sent first before the others."""
        values = {**_deployment(deployment), "group_id": group_id, "most": most}
        return [TaskRow(**row) for row in self.rows("group_members", values)]

    def known_tasks(self, deployment: Deployment, task_ids: Iterable[str]) -> dict[str, str]:
        """Return the state of each of these tasks that the ledger has heard of."""
        values = {**_deployment(deployment), "task_ids": list(task_ids)}
        return {row["task_id"]: row["state"] for row in self.rows("known_tasks", values)}

    def known_queues(self, deployment: Deployment) -> list[str]:
        """Return the queues that tasks went to lately or that workers read from, sorted."""
        return [row["queue"] for row in self.rows("known_queues", _deployment(deployment))]

    def queue_is_known(self, deployment: Deployment, queue: str) -> bool:
        """Say whether any task went to a queue, or any worker reads from it."""
        return bool(self.value("queue_is_known", {**_deployment(deployment), "queue": queue}))

    def oldest_waiting_seconds(self, deployment: Deployment, queue: str) -> float | None:
        """Return the age of the oldest task of a queue that no worker was seen to take."""
        age = self.value("oldest_waiting", {**_deployment(deployment), "queue": queue})
        return None if age is None else max(0.0, float(age))

    def waiting_sample(self, deployment: Deployment, queue: str, most: int) -> list[Row]:
        """Return task_id and task_name of some tasks that wait in a queue, oldest first."""
        values = {**_deployment(deployment), "queue": queue, "most": most}
        return self.rows("waiting_sample", values)

    def live_workers(self, deployment: Deployment) -> list[str]:
        """Return the workers that said within five minutes that they run."""
        return [row["worker"] for row in self.rows("live_workers", _deployment(deployment))]


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as the ledger keeps it: message, tasks, and the verb's own detail."""
    return {
        **outcome.detail,
        "message": outcome.message,
        "tasks": [
            {
                "task_id": task.task_id,
                "result": task.result,
                "new_task_id": task.new_task_id,
                "message": task.message,
            }
            for task in outcome.tasks
        ],
    }


def _deployment(deployment: Deployment) -> dict[str, str]:
    return {
        "namespace": deployment.namespace,
        "service": deployment.service,
        "environment": deployment.environment,
    }


def _actor(actor: Actor) -> dict[str, str]:
    return {"actor": actor.label, "actor_kind": actor.kind, "role": actor.role.name.lower()}
