"""A purge that stops in between: what was taken and not removed is in its queue again, in order."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Exchange, Queue

from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.broker.connections import Connections
from celerytrail.action_api.broker.errors import BrokerDown
from celerytrail.action_api.broker.taking import Taking
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from tests.integration.action_api.acting import Replica, replica
from tests.integration.action_api.stored_tasks import StoredTasks
from tests.integration.action_api.test_purge import broker_url, depth, fill, purge, stored
from tests.span_rows import SHOP

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

__all__ = ["broker_url", "stored"]

pytest_plugins = ["tests.databases"]


def lose_the_lease(api: Replica, at: int) -> None:
    """Let another process take the action at the progress row of that number."""
    progress, times = api.ledger.progress_intent, []

    def lost(*arguments: Any) -> bool:
        times.append(1)
        return progress(*arguments) if len(times) < at else False

    api.ledger.progress_intent = lost  # type: ignore[method-assign]


def waiting(url: str, queue: str = "orders") -> list[Any]:
    """Take all messages of a queue, in the order in which a worker would get them."""
    found = []
    with Connection(url) as connection, connection.channel() as channel:
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            found.append(message)
    return found


def test_what_was_taken_and_not_removed_waits_in_its_old_order(
    stored: StoredTasks,
    broker_url: str,
) -> None:
    ids = fill(broker_url, 10)
    with replica(
        stored.database.dsn("actions"),
        DeploymentSettings(SHOP, broker_url),
        verb_settings=VerbSettings(purge_chunk=4),
    ) as api:
        lose_the_lease(api, 3)  # taking, purged, and now taking again
        done = purge(api, 10)
        assert done.outcome.detail["removed"] == 4, done
        assert depth(api) == 6
    assert [message.headers["id"] for message in waiting(broker_url)] == ids[4:]


def test_every_priority_of_valkey_keeps_its_order(
    stored: StoredTasks,
    valkey: EmbeddedValkey,
) -> None:
    urgent = fill(valkey.url, 3, first=50, priority=0)
    later = fill(valkey.url, 3, first=0, priority=6)
    with replica(stored.database.dsn("actions"), DeploymentSettings(SHOP, valkey.url)) as api:
        lose_the_lease(api, 1)
        with pytest.raises(Exception, match="taken this action over"):
            purge(api, 6)
    assert [message.headers["id"] for message in waiting(valkey.url)] == urgent + later


def test_what_goes_back_goes_to_its_own_queue_alone(
    migrated: MigratedDatabase,
    ledger: SinkLedger,
    stored: StoredTasks,
    valkey: EmbeddedValkey,
) -> None:
    """The exchange would give it to every queue that is bound, also where it was done already."""
    with Connection(valkey.url) as connection, connection.channel() as channel:
        exchange = Exchange("orders by topic", "topic")
        for name in ("orders", "copies"):
            Queue(name, exchange, "order.*")(channel).declare()
        connection.Producer(channel).publish(
            "x", exchange="orders by topic", routing_key="order.paid", headers={"id": "a task"}
        )
    assert len(waiting(valkey.url, "copies")) == 1
    with replica(stored.database.dsn("actions"), DeploymentSettings(SHOP, valkey.url)) as api:
        lose_the_lease(api, 1)
        with pytest.raises(Exception, match="taken this action over"):
            purge(api, 1)
    assert waiting(valkey.url, "copies") == []
    assert len(waiting(valkey.url, "orders")) == 1


def test_what_came_after_the_action_began_stays_although_more_was_seen(
    stored: StoredTasks,
    valkey: EmbeddedValkey,
) -> None:
    """Workers took most of what somebody saw; a producer is as fast as the purge."""
    ids = fill(valkey.url, 2)
    with replica(stored.database.dsn("actions"), DeploymentSettings(SHOP, valkey.url)) as api:
        progress = api.ledger.progress_intent
        came: list[str] = []

        def produce(*arguments: Any) -> bool:
            came.extend(fill(valkey.url, 3, first=100 + len(came)))
            return progress(*arguments)

        api.ledger.progress_intent = produce  # type: ignore[method-assign]
        done = purge(api, 1000)
        assert [task.task_id for task in done.outcome.tasks] == ids
        assert depth(api) == len(came) > 0


def slow_down(taking: Taking, seconds: float) -> None:
    """Let each message arrive late."""
    get = taking._channel.basic_get

    def late(*arguments: Any, **options: Any) -> Any:
        time.sleep(seconds)
        return get(*arguments, **options)

    taking._channel.basic_get = late


def test_a_slow_broker_gives_fewer_at_once(valkey: EmbeddedValkey) -> None:
    fill(valkey.url, 5)
    connections = Connections(valkey.url, BrokerBounds())
    with Taking(connections, "orders", 6.0) as taking:
        slow_down(taking, 1.8)
        taken = taking.take(5)
        assert 1 <= len(taken) < 5
        taking.remove(taken)
    assert len(waiting(valkey.url)) == 5 - len(taken)


def test_what_arrives_after_the_deadline_goes_back_too(valkey: EmbeddedValkey) -> None:
    ids = fill(valkey.url, 3)
    connections = Connections(valkey.url, BrokerBounds())
    with Taking(connections, "orders", 3.0) as taking:
        slow_down(taking, 4.0)
        with pytest.raises(BrokerDown):
            taking.take(3)
    for thread in threading.enumerate():
        if thread.name == "celerytrail-broker":
            thread.join(30)
    assert [message.headers["id"] for message in waiting(valkey.url)] == ids
