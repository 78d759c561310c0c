"""What cancel and terminate have in common: workers are told to revoke a task, and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celerytrail.action_api.action import ActionRequest, Intent, Outcome, Plan, TaskResult
from celerytrail.action_api.actor import Role
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.broker.control import Replies
from celerytrail.action_api.broker.errors import BrokerUncertain
from celerytrail.action_api.errors import Unavailable
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import ExpiredIntent
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.action_api.verbs.target import find_task, require_not_ended, target_key


class Revoking:
    """Tells workers to forget a task; a subclass says by which signal its process ends, if by any."""

    minimum_role = Role.OPERATOR
    recent_seconds = 10.0
    """Revokes live in the memory of the workers: after a new one came up, the same may be wanted again."""

    def __init__(self, ledger: Ledger, brokers: Brokers, settings: VerbSettings) -> None:
        self._ledger = ledger
        self._brokers = brokers

    def preview(self, plan: Plan) -> Mapping[str, Any]:
        """Say which task it would be."""
        return dict(plan.target)

    def perform(self, plan: Plan, intent: Intent) -> Outcome:
        """Tell all workers, and say which of them answered."""
        task_id, signal = plan.details
        # Whose answers to wait for; without them every wait would last to its end.
        expected = self._ledger.live_workers(plan.deployment)
        if not intent.still_ours():
            raise Unavailable("another process has taken this action over; nothing was sent")
        try:
            replies = self._brokers.of(plan.deployment).revoke(
                task_id, signal=signal, expected=expected
            )
        except BrokerUncertain as exc:
            return Outcome(
                "unknown",
                f"{exc}: whether the workers were told is not known",
                (TaskResult(task_id, "unknown"),),
            )
        detail = {"workers": dict(replies.by_worker), "all_replies_read": replies.complete}
        fault = _fault(replies, plan.target.get("worker"), signal)
        if fault is not None:
            return Outcome(
                "unknown", fault, (TaskResult(task_id, "unknown", message=fault),), detail
            )
        told = ", ".join(sorted(replies.agreed))
        if signal is None:
            message = f"revoked: {told} will not begin it"
        elif replies.agreed == replies.without:
            message = f"no worker has it yet, so nothing was ended: {told} will not begin it"
        else:
            message = f"terminated: {', '.join(sorted(replies.agreed - replies.without))} had it"
        return Outcome("succeeded", message, (TaskResult(task_id, "revoked"),), detail)

    def recover(self, expired: ExpiredIntent, *, last_look: bool) -> Outcome | None:
        """Look whether the task was revoked meanwhile."""
        task_id = str(expired.target.get("task_id") or "")
        state = self._ledger.known_tasks(expired.deployment, [task_id]).get(task_id)
        if state == "revoked":
            return Outcome("succeeded", "found: it was revoked", (TaskResult(task_id, "revoked"),))
        if not last_look:
            return None
        return Outcome(
            "unknown",
            f"the process that did this died, and the task is {state or 'not known'}",
            (TaskResult(task_id, "unknown"),),
        )

    def _plan(self, request: ActionRequest, signal: str | None) -> Plan:
        """Find the task; one that has ended is refused."""
        settings = self._brokers.of(request.deployment).settings
        task = find_task(self._ledger, request)
        require_not_ended(task)
        target = {
            "task_id": task.task_id,
            "task_name": task.task_name,
            "attempt": task.retries,
            "worker": task.worker,
        }
        if signal is not None:
            target["signal"] = signal
        key = target_key("task", task.task_id, task.retries or 0, *([signal] if signal else []))
        return Plan(settings.deployment, target, key, (task.task_id, signal))


def _fault(replies: Replies, holder: str | None, signal: str | None) -> str | None:
    """Say why nobody knows whether it was done; None when it was.

    ``holder`` is the worker that has the task, as far as the ledger knows. Every worker agrees to
    forget a task that it never heard of: only the holder's answer says something about it.
    """
    if not replies.by_worker:
        return (
            "the workers were told, and none of them answered: a worker that comes up later does "
            "not know of it"
        )
    if not replies.agreed:
        said = "; ".join(f"{worker}: {text}" for worker, text in sorted(replies.by_worker.items()))
        return f"no worker could do it: {said}"
    if not holder:
        return None
    if holder not in replies.agreed:
        said = replies.by_worker.get(holder, "did not answer")
        return f"other workers were told, but {holder}, which has the task: {said}"
    if signal is not None and replies.agreed == replies.without:
        return f"no worker has the task any more, {holder} neither: it may have ended meanwhile"
    return None
