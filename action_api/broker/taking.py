"""Takes messages out of a queue in two steps, so that they can be written down in between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Any

from celerytrail.action_api.broker.connections import FAILURES, Connections, failure
from celerytrail.action_api.broker.deadline import DeadlineExceeded, within
from celerytrail.action_api.broker.errors import BrokerDown, BrokerUncertain
from celerytrail.exporter.spool.trail import TRAIL_HEADER, read_trail

if TYPE_CHECKING:
    from typing_extensions import Self

_SEND_DOMAIN = b"celerytrail/send/v1\0"
_MAX_ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was taken and not yet removed: its tag, and what may be said of it."""

    tag: Any
    about: Mapping[str, Any]


class Taking:
    """Messages of one queue, taken while the context is open; what is not removed goes back."""

    def __init__(self, connections: Connections, queue: str, step_seconds: float) -> None:
        self._connections = connections
        self._queue = queue
        self._seconds = step_seconds
        self._connection: Any = None
        self._channel: Any = None
        self._tags: list[Any] = []  # of what was taken and is not removed, in that order
        self._lock = threading.Lock()  # held while the channel is used
        self._over = False

    def __enter__(self) -> Self:
        def begin() -> None:
            self._connection = self._connections.open()
            self._channel = self._connection.channel()

        try:
            within(self._seconds, begin)
        except DeadlineExceeded as exc:
            raise BrokerDown(f"{self._connections.where} did not answer in time") from exc
        except FAILURES as exc:
            raise BrokerDown(f"{self._connections.where} failed: {failure(exc)}") from None
        return self

    def take(self, most: int) -> list[Taken]:
        """Take the next messages, at most so many; fewer when the queue holds no more.

        Raises BrokerDown: none of them is removed, and the broker gives them back.
        """

        # A slow broker gives fewer at once, and not an error each time.
        enough = time.monotonic() + self._seconds / 2

        def get() -> list[Taken]:
            found: list[Taken] = []
            while len(found) < most and (not found or time.monotonic() < enough):
                with self._lock:
                    if self._over:  # given up at the deadline: nobody would put it back
                        break
                    message = self._channel.basic_get(self._queue, no_ack=False)
                    if message is None:
                        break
                    self._tags.append(message.delivery_tag)
                found.append(Taken(message.delivery_tag, describe(message)))
            return found

        try:
            return within(self._seconds, get)
        except DeadlineExceeded as exc:
            raise BrokerDown(f"{self._connections.where} did not answer in time") from exc
        except FAILURES as exc:
            raise BrokerDown(f"{self._connections.where} failed: {failure(exc)}") from None

    def remove(self, taken: list[Taken]) -> None:
        """Remove what was taken, for good. Raises BrokerUncertain: some may be removed."""

        def acknowledge() -> None:
            for one in taken:
                with self._lock:
                    if self._over:
                        return
                    self._channel.basic_ack(one.tag)
                    self._tags.remove(one.tag)
            # An answer to a question asked afterwards shows that the broker has read all of it.
            self._channel.queue_declare(self._queue, passive=True)

        try:
            within(self._seconds, acknowledge)
        except DeadlineExceeded as exc:
            raise BrokerUncertain(f"{self._connections.where} did not answer in time") from exc
        except self._connection.channel_errors as exc:
            # Kombu's Redis has no queue that is empty: that is what the question finds at the end.
            if str(getattr(exc, "reply_code", "")) != "404":  # a text there, a number over AMQP
                raise BrokerUncertain(f"{self._connections.where} failed: {failure(exc)}") from None
        except FAILURES as exc:
            raise BrokerUncertain(f"{self._connections.where} failed: {failure(exc)}") from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over = True

        def end() -> None:
            with self._lock, suppress(Exception):
                if hasattr(self._channel, "priority_steps"):
                    self._put_back_redis()
            with suppress(Exception):
                self._channel.close()
            with suppress(Exception):
                self._connection.release()

        with suppress(DeadlineExceeded):
            within(2 * self._seconds, end)

    def _put_back_redis(self) -> None:
        """Put what was taken and not removed where it was: at the end that is taken next.

        Kombu's own way would put it there in the reverse order, and would give it to every queue
        that its exchange is bound to, also where it was done already.
        """
        channel, qos = self._channel, self._channel.qos
        with channel.conn_or_acquire() as client:
            for tag in reversed(self._tags):

                def move(pipe: Any, tag: Any = tag) -> None:
                    kept = pipe.hget(qos.unacked_key, tag)
                    pipe.multi()
                    pipe.zrem(qos.unacked_index_key, tag).hdel(qos.unacked_key, tag)
                    if kept:
                        payload = json.loads(kept)[0]
                        priority = channel._get_message_priority(payload, reverse=False)
                        key = channel._q_for_pri(self._queue, priority)
                        pipe.rpush(key, json.dumps(payload))

                client.transaction(move, qos.unacked_key)
                qos.ack(tag)  # so that closing the channel does not look for it


def describe(message: Any) -> dict[str, Any]:
    """Return what the ledger keeps of a message that is removed: never its body.

    A task is named with its send, by the ids of ``docs/design/identity.md``; for what is no task
    there is the SHA-256 of its body.
    """
    headers = message.headers if isinstance(message.headers, dict) else {}
    task_id = headers.get("id")
    if (
        not isinstance(task_id, str)
        or not 0 < len(task_id.encode("utf-8", "replace")) <= _MAX_ID_BYTES
    ):
        body = message.body
        data = body.encode("utf-8", "replace") if isinstance(body, str) else bytes(body or b"")
        return {"task_id": None, "sha256": sha256(data).hexdigest()}
    trail = read_trail(headers.get(TRAIL_HEADER))
    if trail is not None:
        return {
            "task_id": task_id,
            "send_id": trail.send_id,
            "sent_unix_nano": trail.sent_unix_nano,
        }
    retries = headers.get("retries")
    attempt = retries if type(retries) is int and 0 <= retries < 2**31 else 0
    digest = sha256(_SEND_DOMAIN + task_id.encode("utf-8", "replace") + b"\0%d" % attempt)
    return {"task_id": task_id, "send_id": digest.hexdigest()[:16], "sent_unix_nano": attempt}
