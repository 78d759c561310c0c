"""The broker of one deployment, with its bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from celery import Celery

from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.broker.connections import Connections
from celerytrail.action_api.broker.control import Replies, revoke
from celerytrail.action_api.broker.outgoing import Outgoing
from celerytrail.action_api.broker.publishing import publish
from celerytrail.action_api.broker.queue_state import QueueState, holds_task, peek, queue_state
from celerytrail.action_api.broker.routing import queues_of
from celerytrail.action_api.config import DeploymentSettings


class Broker:
    """What verbs do with a broker. Every method is bounded in time, whatever the broker does.

    Raises BrokerDown where nothing was done, BrokerUncertain where nobody knows.
    """

    def __init__(self, settings: DeploymentSettings, bounds: BrokerBounds) -> None:
        self.settings = settings
        self.bounds = bounds
        self.connections = Connections(settings.broker_url, bounds)
        self._app: Celery | None = None
        self._lock = threading.Lock()

    @property
    def app(self) -> Celery:
        """Return a Celery application of the deployment that knows none of its tasks."""
        with self._lock:
            if self._app is None:
                self._app = _application(self.settings, self.bounds, self.connections)
            return self._app

    def new_app(self) -> Celery:
        """Return another such application, for whoever closes it."""
        return _application(self.settings, self.bounds, self.connections)

    def publish(self, message: Outgoing, may: Callable[[], bool]) -> None:
        """Send one message, see ``publishing.publish``."""
        publish(self.connections, message, may)

    def queue_state(self, queue: str) -> QueueState | None:
        """Return the state of a queue; None when the broker has none of that name."""
        return self.connections.ask(lambda connection: queue_state(connection, queue))

    def queue_states(self, queues: Sequence[str]) -> list[QueueState | None]:
        """Return the state of several queues, over one connection, in their order."""
        return self.connections.ask(
            lambda connection: [queue_state(connection, queue) for queue in queues]
        )

    def peek(self, queue: str, most: int) -> list[Mapping[str, Any]] | None:
        """Return headers of what is next in a queue; None where the broker does not let us look."""
        return self.connections.ask(lambda connection: peek(connection, queue, most))

    def holds_task(self, queue: str, task_id: str, *, may_take: bool) -> bool:
        """Say whether the message of a task waits in a queue, see ``queue_state.holds_task``."""
        return self.connections.ask(lambda connection: _holds(connection, queue, task_id, may_take))

    def queues_of(self, routes: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return the queue for exchanges with their routing keys, see ``routing.queues_of``.

        Also with no pair at all the broker is asked whether it is there.
        """
        return self.connections.ask(lambda connection: queues_of(connection, routes))

    def revoke(self, task_id: str, *, signal: str | None, expected: Collection[str]) -> Replies:
        """Tell all workers to revoke a task, see ``control.revoke``."""
        return revoke(
            self.connections,
            self.app,
            task_id,
            signal=signal,
            expected=expected,
            wait_seconds=self.bounds.control_seconds,
            total_seconds=self.bounds.total_seconds + self.bounds.control_seconds,
        )

    def close(self) -> None:
        """Close what the application opened."""
        with self._lock:
            if self._app is not None:
                self._app.close()
                self._app = None


def _holds(connection: Any, queue: str, task_id: str, may_take: bool) -> bool:
    try:
        return holds_task(connection, queue, task_id, may_take=may_take)
    except connection.channel_errors:
        return False  # no such queue


def _application(
    settings: DeploymentSettings, bounds: BrokerBounds, connections: Connections
) -> Celery:
    app = Celery("celerytrail-actions", set_as_current=False, fixups=[])
    app.conf.update(
        broker_url=settings.broker_url,
        result_backend=settings.result_backend or "disabled://",
        broker_connection_timeout=bounds.connect_seconds,
        broker_connection_max_retries=0,
        broker_connection_retry=False,
        broker_heartbeat=0,
        broker_pool_limit=0,  # None is kept open
        broker_transport_options=connections.transport_options(),
        redis_socket_timeout=bounds.total_seconds,
        redis_socket_connect_timeout=bounds.connect_seconds,
        redis_retry_on_timeout=False,
        result_backend_always_retry=False,
        task_publish_retry=False,
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        enable_utc=True,
    )
    return app
