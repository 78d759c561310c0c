"""The queues of a deployment for people: how deep, how old, who reads them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from celerytrail.action_api.broker.broker import Broker
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.broker.queue_state import QueueState
from celerytrail.action_api.ledger import Ledger
from celerytrail.exporter.deployment import Deployment

SAMPLE = 10
MAX_NAME_CHARACTERS = 200


def queues(ledger: Ledger, brokers: Brokers, deployment: Deployment) -> list[dict[str, Any]]:
    """Return every queue that tasks went to, workers read from or the configuration names.

    Each is ``{"queue", "depth", "oldest_age_seconds", "consumers"}``; the last two are None where
    they are not known. A queue that the broker does not have, or has not filled, has depth 0.
    Raises NotFound for a deployment that is not configured, Unavailable.
    """
    broker = brokers.of(deployment)
    names = sorted({*ledger.known_queues(deployment), *broker.settings.queues})
    states = broker.queue_states(names)
    return [
        {
            "queue": name,
            "depth": state.depth if state is not None else 0,
            "oldest_age_seconds": oldest_age_seconds(ledger, deployment, state),
            "consumers": None if state is None else state.consumers,
        }
        for name, state in zip(names, states, strict=True)
    ]


def oldest_age_seconds(
    ledger: Ledger, deployment: Deployment, state: QueueState | None
) -> float | None:
    """Return how long the oldest message of a queue waits; None for an empty one.

    By the header of the message where the broker lets us look at it, else by what the ledger knows
    of tasks that were sent there and not received.
    """
    if state is None or state.depth == 0:
        return None
    if state.oldest_sent_unix_nano is not None:
        return max(0.0, time.time() - state.oldest_sent_unix_nano / 1e9)
    return ledger.oldest_waiting_seconds(deployment, state.queue)


def sample(ledger: Ledger, broker: Broker, queue: str) -> list[Mapping[str, Any]]:
    """Return id and name of some tasks that wait in a queue, those that are next first."""
    seen = broker.peek(queue, SAMPLE)
    if seen is None:
        found = ledger.waiting_sample(broker.settings.deployment, queue, SAMPLE)
        return [{"task_id": row["task_id"], "task_name": row["task_name"]} for row in found]
    return [
        {"task_id": _short(headers.get("id")), "task_name": _short(headers.get("task"))}
        for headers in seen[:SAMPLE]
    ]


def _short(value: Any) -> str | None:
    return value[:MAX_NAME_CHARACTERS] if isinstance(value, str) else None
