"""Where a message of a named exchange goes on a broker that has no exchanges of its own (Redis)."""

from __future__ import annotations

import re
from typing import Any


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


def is_virtual(connection: Any) -> bool:
    """Say whether kombu plays the exchanges itself on this broker."""
    return getattr(connection.transport, "driver_type", "") != "amqp"
