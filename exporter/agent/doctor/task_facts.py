"""What the doctor has to know of an app's own tasks and of its beat schedule."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from celery import Task

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task as it would run: its own options over those of the app. Times are in seconds, or None.

    ``retries`` says that it was told when or how to retry; any task may do so in its code.
    """

    name: str
    acks_late: bool
    reject_on_worker_lost: bool
    ignore_result: bool
    time_limit: float | None
    longest_retry_delay: float | None
    retries: bool


def tasks_of(app: Any) -> list[TaskFacts]:
    """Return the app's own tasks by name, Celery's left out."""
    conf = app.conf
    found = []
    for name, task in sorted(app.tasks.items()):
        if name.startswith("celery."):
            continue
        limits = (
            getattr(task, "time_limit", None) or conf.task_time_limit,
            getattr(task, "soft_time_limit", None) or conf.task_soft_time_limit,
        )
        found.append(
            TaskFacts(
                name=name,
                acks_late=bool(task.acks_late),
                reject_on_worker_lost=bool(task.reject_on_worker_lost),
                ignore_result=bool(task.ignore_result),
                time_limit=max((float(one) for one in limits if one), default=None),
                longest_retry_delay=_retry_delay(task),
                retries=_retries(task),
            )
        )
    return found


def names(tasks: Collection[TaskFacts]) -> str:
    """Return some of the tasks' names, and how many more there are."""
    shown = ", ".join(task.name for task in list(tasks)[:_SHOWN])
    return shown + (f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else "")


def scheduled_delays(app: Any) -> dict[str, float]:
    """Return beat entry -> the seconds that its options have each message wait."""
    found = {}
    for name, entry in (app.conf.beat_schedule or {}).items():
        options = (entry.get("options") if isinstance(entry, dict) else None) or {}
        delay = _delay(options)
        if delay is not None and delay > 0:
            found[str(name)] = delay
    return found


def _delay(options: Any) -> float | None:
    countdown, eta = options.get("countdown"), options.get("eta")
    if isinstance(countdown, (int, float)):
        return float(countdown)
    if isinstance(countdown, timedelta):
        return countdown.total_seconds()
    if isinstance(eta, datetime):
        aware = eta if eta.tzinfo else eta.replace(tzinfo=timezone.utc)
        return (aware - datetime.now(timezone.utc)).total_seconds()
    return None


def _retry_delay(task: Any) -> float | None:
    if getattr(task, "max_retries", None) == 0:
        return None
    if getattr(task, "retry_backoff", False):
        return float(getattr(task, "retry_backoff_max", 600))
    delay = getattr(task, "default_retry_delay", None)
    return float(delay) if delay else None


def _retries(task: Any) -> bool:
    told = getattr(task, "default_retry_delay", None) != Task.default_retry_delay
    return told or bool(getattr(task, "autoretry_for", ()))
