"""Where a message of a named exchange goes on a broker that has no exchanges of its own (Redis)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from celerytrail.action_api.broker.errors import NoRoute


def bound_queues(channel: Any, exchange: str, routing_key: str) -> list[str]:
    """Return the queues that take a message, by the bindings that workers left in the broker.

    ``channel`` is one of kombu's virtual transports. Bindings of direct exchanges have no pattern,
    those of topic exchanges one; a fanout on Redis is no queue and cannot be found here.
    """
    queues = []
    for row in channel.get_table(exchange):
        key, pattern, queue = (*row, "", "", "")[:3]
        if key == routing_key or (pattern and re.match(pattern, routing_key)):
            queues.append(queue)
    return sorted(set(filter(None, queues)))


def queues_of(connection: Any, routes: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the queue that stands for each pair of exchange and routing key on a virtual broker.

    Empty for a broker that has exchanges itself. Raises NoRoute for a pair that no queue, or more
    than one, takes: Celery can send a task of a canvas to one queue only.
    """
    found: dict[tuple[str, str], str] = {}
    if not is_virtual(connection):
        return found
    for exchange, routing_key in routes:
        queues = bound_queues(connection.default_channel, exchange, routing_key)
        if len(queues) != 1:
            raise NoRoute(
                f"{len(queues) or 'no'} queues take messages of exchange {exchange!r} with routing "
                f"key {routing_key!r}, and one is needed: start a worker that declares it"
            )
        found[exchange, routing_key] = queues[0]
    return found


def is_virtual(connection: Any) -> bool:
    """Say whether kombu plays the exchanges itself on this broker."""
    return getattr(connection.transport, "driver_type", "") != "amqp"
