"""Tells all workers of a deployment to forget or stop a task, and collects what they answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celerytrail.action_api.broker.connections import Connections
from celerytrail.action_api.broker.errors import BrokerUncertain

MAX_REPLY_CHARACTERS = 200
# What Celery's worker answers to a terminate when no process of its has the task.
_HAS_NOT = "tasks unknown"


@dataclass(frozen=True, slots=True)
class Replies:
    """What workers answered, by their names: text of at most 200 characters.

    ``agreed`` are the workers that did it, ``without`` those of them that had no such task to
    terminate: they will not begin it. ``complete`` is false when the broker fell silent while
    replies were collected.
    """

    by_worker: Mapping[str, str]
    agreed: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    complete: bool = True


class _Everybody(Exception):
    """All who were waited for have answered."""


def revoke(
    connections: Connections,
    app: Any,
    task_id: str,
    *,
    signal: str | None,
    expected: Collection[str],
    wait_seconds: float,
    total_seconds: float,
) -> Replies:
    """Tell the workers to revoke a task; with ``signal``, to end the process that runs it.

    Waits until all workers of ``expected`` have answered, or ``wait_seconds`` since the last answer;
    workers of another deployment may answer as well, where they share the broker.
    Raises BrokerDown when nothing was sent, BrokerUncertain when that is not known.
    """
    answers: dict[str, str] = {}
    agreed: set[str] = set()
    without: set[str] = set()
    missing = {worker[:MAX_REPLY_CHARACTERS] for worker in expected}
    arguments: dict[str, Any] = {"task_id": task_id, "terminate": signal is not None}
    if signal is not None:
        arguments["signal"] = signal

    def collect(answer: Any) -> None:
        if isinstance(answer, dict):
            for name, said in answer.items():
                worker = str(name)[:MAX_REPLY_CHARACTERS]
                answers[worker] = str(said)[:MAX_REPLY_CHARACTERS]
                if isinstance(said, dict) and "ok" in said:
                    agreed.add(worker)
                    if signal is not None and _HAS_NOT in str(said["ok"]):
                        without.add(worker)
        if missing and missing <= answers.keys():
            raise _Everybody

    def tell(connection: Any) -> None:
        with suppress(_Everybody):
            app.control.broadcast(
                "revoke",
                arguments=arguments,
                connection=connection,
                reply=True,
                timeout=wait_seconds,
                callback=collect,
            )

    def replies(complete: bool) -> Replies:
        return Replies(dict(answers), frozenset(agreed), frozenset(without), complete)

    try:
        connections.change(tell, total_seconds)
    except BrokerUncertain:
        if not answers:
            raise
        return replies(complete=False)
    return replies(complete=True)
