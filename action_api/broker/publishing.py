"""Hands a message to a broker: the bytes of the body as they are, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amqp.exceptions import MessageNacked  # type: ignore[import-untyped]
from kombu import messaging

from celerytrail.action_api.broker.connections import Connections
from celerytrail.action_api.broker.errors import BrokerUncertain, NoRoute
from celerytrail.action_api.broker.outgoing import Outgoing
from celerytrail.action_api.broker.queue_state import NOT_FOUND, code_of
from celerytrail.action_api.broker.routing import bound_queues, is_virtual
from celerytrail.action_api.errors import Unavailable

PERSISTENT = 2

# kombu has the marker of a typed package, and few types.
Producer: Callable[..., Any] = messaging.Producer


def publish(connections: Connections, message: Outgoing, may: Callable[[], bool]) -> None:
    """Send one message; on RabbitMQ the broker has confirmed it when this returns.

    ``may`` is asked right before the broker is touched. Raises BrokerDown, NoRoute, Unavailable
    (``may`` said no): nothing was sent. Raises BrokerUncertain: nobody knows.
    """

    def send(connection: Any) -> None:
        targets = [(message.exchange, message.routing_key)]
        if message.exchange and is_virtual(connection):
            queues = bound_queues(connection.default_channel, message.exchange, message.routing_key)
            if not queues:
                raise _no_route(message)
            targets = [("", queue) for queue in queues]
        returned: list[Any] = []
        options: dict[str, Any] = {}
        if not is_virtual(connection):
            # RabbitMQ takes what no queue wants and drops it, unless it is told not to.
            options["mandatory"] = True
            connection.default_channel.events["basic_return"].add(
                lambda *what: returned.append(what)
            )
        producer = Producer(connection.default_channel, auto_declare=False)
        if not may():
            raise Unavailable("another process has taken this action over; nothing was sent")
        try:
            for exchange, routing_key in targets:
                producer.publish(
                    message.body,
                    exchange=exchange,
                    routing_key=routing_key,
                    headers=dict(message.headers),
                    content_type=message.content_type,
                    content_encoding=message.content_encoding,
                    priority=message.priority,
                    correlation_id=message.correlation_id,
                    delivery_mode=PERSISTENT,
                    retry=False,
                    **options,
                )
        except MessageNacked as exc:
            if message.exchange:  # another queue that is bound to it may have taken it
                raise BrokerUncertain(f"{connections.where} refused the message") from exc
            raise NoRoute(
                f"queue {message.routing_key!r} refused the message: it is full, or not available"
            ) from exc
        except connection.channel_errors as exc:
            if code_of(exc) == NOT_FOUND:  # the exchange: RabbitMQ took nothing
                raise _no_route(message) from exc
            raise
        if returned:
            raise _no_route(message)

    connections.change(send)


def _no_route(message: Outgoing) -> NoRoute:
    return NoRoute(
        f"no queue takes messages of exchange {message.exchange!r} with routing key "
        f"{message.routing_key!r}: start a worker that declares it, then try again"
    )
