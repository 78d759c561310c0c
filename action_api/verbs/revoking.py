"""What cancel and terminate have in common: workers are told to revoke a task, and answer."""

from __future__ import annotations

from collections.abc import Mapping

from celerytrail.action_api.action import ActionRequest, Intent, Outcome, Plan, TaskResult
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.broker.errors import BrokerUncertain
from celerytrail.action_api.errors import Unavailable
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import ExpiredIntent
from celerytrail.action_api.verbs.target import find_task, require_not_ended, target_key

RECENT_SECONDS = 10.0
"""Revokes live in the memory of the workers: after a new one came up, the same may be wanted again."""


def plan_revoke(
    ledger: Ledger, brokers: Brokers, request: ActionRequest, signal: str | None
) -> Plan:
    """Find the task; one that has ended is refused."""
    settings = brokers.of(request.deployment).settings
    task = find_task(ledger, request)
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


def preview_revoke(plan: Plan) -> Mapping[str, object]:
    """Say which task it would be."""
    return dict(plan.target)


def perform_revoke(ledger: Ledger, brokers: Brokers, plan: Plan, intent: Intent) -> Outcome:
    """Tell the workers, and say which of them answered."""
    task_id, signal = plan.details
    # How many answers to wait for; without it every wait would last to its end.
    expected = len(ledger.live_workers(plan.deployment)) or None
    if not intent.still_ours():
        raise Unavailable("another process has taken this action over; nothing was sent")
    what = "terminated" if signal else "revoked"
    try:
        replies = brokers.of(plan.deployment).revoke(task_id, signal=signal, expected=expected)
    except BrokerUncertain as exc:
        return Outcome(
            "unknown",
            f"{exc}: whether the workers were told is not known",
            (TaskResult(task_id, "unknown"),),
        )
    answered = sorted(replies.by_worker)
    detail = {"workers": dict(replies.by_worker), "all_replies_read": replies.complete}
    if not answered:
        return Outcome(
            "unknown",
            "the workers were told, and none of them answered: a worker that comes up later does "
            "not know of it",
            (TaskResult(task_id, "unknown", message="no worker answered"),),
            detail,
        )
    return Outcome(
        "succeeded",
        f"{what}: {', '.join(answered)} answered",
        (TaskResult(task_id, "revoked"),),
        detail,
    )


def recover_revoke(ledger: Ledger, expired: ExpiredIntent, *, last_look: bool) -> Outcome | None:
    """Look whether the task was revoked meanwhile."""
    task_id = str(expired.target.get("task_id") or "")
    state = ledger.known_tasks(expired.deployment, [task_id]).get(task_id)
    if state == "revoked":
        return Outcome("succeeded", "found: it was revoked", (TaskResult(task_id, "revoked"),))
    if not last_look:
        return None
    return Outcome(
        "unknown",
        f"the process that did this died, and the task is {state or 'not known'}",
        (TaskResult(task_id, "unknown"),),
    )
