"""What a queue holds, as far as a broker says it without giving anything away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from celerytrail.action_api.broker.routing import is_virtual
from celerytrail.exporter.spool.trail import TRAIL_HEADER, read_trail

NOT_FOUND = 404
MOST_SEEN = 10_000
MOST_TAKEN = 1_000


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue of a broker. ``consumers`` is None where the broker does not know (Redis).

    ``oldest_sent_unix_nano`` is when the message that is next was sent, by its own header.
    """

    queue: str
    depth: int
    consumers: int | None
    oldest_sent_unix_nano: int | None = None


def queue_state(connection: Any, queue: str) -> QueueState | None:
    """Return the state of a queue, None when there is none of that name (on Redis: none filled)."""
    with connection.channel() as channel:
        try:
            found = channel.queue_declare(queue, passive=True)
        except connection.channel_errors as exc:
            if code_of(exc) == NOT_FOUND or is_virtual(connection):
                return None
            raise
        if not is_virtual(connection):
            return QueueState(queue, found.message_count, found.consumer_count)
        if not hasattr(channel, "priority_steps"):
            return QueueState(queue, found.message_count, None)
        oldest = [
            sent
            for headers in _peek_redis(channel, queue, 1)
            if (sent := sent_unix_nano(headers)) is not None
        ]
        return QueueState(queue, found.message_count, None, min(oldest, default=None))


def peek(connection: Any, queue: str, most: int) -> list[Mapping[str, Any]] | None:
    """Return the headers of the messages that are next, without taking any.

    At most ``most`` for each priority. None on a broker that cannot be looked into so.
    """
    with connection.channel() as channel:
        if not hasattr(channel, "priority_steps"):
            return None
        return list(_peek_redis(channel, queue, most))


def holds_task(connection: Any, queue: str, task_id: str, *, may_take: bool) -> bool:
    """Say whether the message of a task waits among the first 10,000 of a queue.

    On Redis nothing is taken. On RabbitMQ messages are taken, at most 1,000, and given back where
    they were when the channel closes; they are marked as redelivered, and a quorum queue drops what
    came back too often. Without ``may_take`` nobody looks there, and the answer is no.
    """
    with connection.channel() as channel:
        if hasattr(channel, "priority_steps"):
            return any(
                headers.get("id") == task_id for headers in _peek_redis(channel, queue, MOST_SEEN)
            )
        if is_virtual(connection) or not may_take:
            return False
        for _ in range(MOST_TAKEN):
            message = channel.basic_get(queue, no_ack=False)
            if message is None:
                break
            if (message.headers or {}).get("id") == task_id:
                return True
    return False


def sent_unix_nano(headers: Mapping[str, Any]) -> int | None:
    """Return when a message was sent, by the trail in its headers; None where there is none."""
    trail = read_trail(headers.get(TRAIL_HEADER))
    return None if trail is None else trail.sent_unix_nano


def _peek_redis(channel: Any, queue: str, most: int) -> Iterator[Mapping[str, Any]]:
    # The end of the list is what is taken next. Each priority is a list of its own.
    with channel.conn_or_acquire() as client:
        for step in channel.priority_steps:
            for item in reversed(client.lrange(channel._q_for_pri(queue, step), -most, -1)):
                try:
                    headers = json.loads(item).get("headers")
                except (ValueError, AttributeError, RecursionError):
                    continue  # not one of kombu's
                if isinstance(headers, dict):
                    yield headers


def code_of(exc: BaseException) -> int | None:
    """Return the reply code of AMQP in an error of a channel, None where there is none."""
    code = getattr(exc, "code", None) or getattr(exc, "reply_code", None)
    return code if isinstance(code, int) else None
