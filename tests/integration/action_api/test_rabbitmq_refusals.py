"""RabbitMQ queues that refuse, and that count how often a message came back."""

from __future__ import annotations

from uuid import uuid4

import pytest
from kombu import Connection, Queue

from celerytrail.action_api.broker.errors import NoRoute
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.rows import ExpiredIntent
from celerytrail.exporter.sealed import keep_plain
from tests.integration.action_api.acting import replica
from tests.integration.action_api.stored_tasks import StoredTasks, message
from tests.integration.action_api.test_retry_routing import TASK, rabbitmq, stored
from tests.span_rows import SHOP

__all__ = ["rabbitmq", "stored"]

pytest_plugins = ["tests.databases"]


def test_a_full_queue_that_refuses_got_nothing(
    stored: StoredTasks,
    rabbitmq: str,
) -> None:
    limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
    with Connection(rabbitmq) as connection, connection.channel() as channel:
        Queue("small", routing_key="small", queue_arguments=limits)(channel).declare()
        connection.Producer(channel).publish("x", exchange="", routing_key="small")
    stored.store(TASK, keep_plain(message(TASK, routing_key="small")))
    settings = DeploymentSettings(SHOP, rabbitmq, allow_plain=True)
    with replica(stored.database.dsn("actions"), settings) as api:
        with pytest.raises(NoRoute) as refused:
            api.do("retry", deployment=SHOP, task_id=TASK)
        assert "refused" in str(refused.value)
        state = api.brokers.of(SHOP).queue_state("small")
        assert state is not None
        assert state.depth == 1
    assert [row[3] for row in stored.actions() if row[0] == "outcome"] == ["failed"]


def test_looking_for_a_message_is_no_delivery_that_a_quorum_queue_counts(
    stored: StoredTasks,
    rabbitmq: str,
) -> None:
    """Beyond its delivery limit a message is dropped: other people's tasks would be lost."""
    limits = {"x-queue-type": "quorum", "x-delivery-limit": 2}
    with Connection(rabbitmq) as connection, connection.channel() as channel:
        Queue("counting", routing_key="counting", queue_arguments=limits)(channel).declare()
        connection.Producer(channel).publish(
            "x", exchange="", routing_key="counting", headers={"id": "somebody's"}
        )
    settings = DeploymentSettings(SHOP, rabbitmq, allow_plain=True)
    with replica(stored.database.dsn("actions"), settings) as api:
        expired = ExpiredIntent(
            intent_id=uuid4(), verb="retry", deployment=SHOP,
            target={"task_id": TASK, "queue": "counting"}, target_key="task", actor="a",
            age_seconds=31.0, progress=(),
        )  # fmt: skip
        for _ in range(6):  # as often as the sweep looks before it gives up, and more
            assert api.verbs["retry"].recover(expired, last_look=False) is None
        found = api.verbs["retry"].recover(expired, last_look=True)
        assert found is not None
        assert found.state == "unknown"
        state = api.brokers.of(SHOP).queue_state("counting")
        assert state is not None
        assert state.depth == 1
