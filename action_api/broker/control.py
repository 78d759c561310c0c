"""Tells all workers of a deployment to forget or stop a task, and collects what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celerytrail.action_api.broker.connections import Connections
from celerytrail.action_api.broker.errors import BrokerUncertain

MAX_REPLY_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Replies:
    """What workers answered, by their names: text of at most 200 characters.

    ``complete`` is false when the broker fell silent while replies were collected.
    """

    by_worker: Mapping[str, str]
    complete: bool = True


def revoke(
    connections: Connections,
    app: Any,
    task_id: str,
    *,
    signal: str | None,
    expected: int | None,
    wait_seconds: float,
    total_seconds: float,
) -> Replies:
    """Tell the workers to revoke a task; with ``signal``, to end the process that runs it.

    Waits until ``expected`` workers have answered, or ``wait_seconds`` since the last answer.
    Raises BrokerDown when nothing was sent, BrokerUncertain when that is not known.
    """
    answers: dict[str, str] = {}
    arguments: dict[str, Any] = {"task_id": task_id, "terminate": signal is not None}
    if signal is not None:
        arguments["signal"] = signal

    def collect(answer: Any) -> None:
        if isinstance(answer, dict):
            for worker, said in answer.items():
                answers[str(worker)[:MAX_REPLY_CHARACTERS]] = str(said)[:MAX_REPLY_CHARACTERS]

    def tell(connection: Any) -> None:
        app.control.broadcast(
            "revoke",
            arguments=arguments,
            connection=connection,
            reply=True,
            timeout=wait_seconds,
            limit=expected,
            callback=collect,
        )

    try:
        connections.change(tell, total_seconds)
    except BrokerUncertain:
        if not answers:
            raise
        return Replies(dict(answers), complete=False)
    return Replies(answers)
