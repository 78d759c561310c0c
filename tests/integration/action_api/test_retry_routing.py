"""Where a retried message goes: where the first one went, on RabbitMQ and on Valkey."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Exchange, Queue

from celerytrail.action_api.broker.errors import NoRoute
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.verbs.resend import ORIGIN
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sealed import keep_plain
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from tests.brokers import RabbitMQ, find_rabbitmq
from tests.integration.action_api.acting import Replica, replica
from tests.integration.action_api.stored_tasks import NO_CANVAS, StoredTasks, message
from tests.span_rows import SHOP

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASK = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    found = find_rabbitmq()
    if found is None:
        pytest.skip("no RabbitMQ server here")
    program, epmd = found
    directory = tmp_path_factory.mktemp("broker") / "rabbitmq"
    with RabbitMQ(directory, program=program, epmd=epmd) as server:
        yield server.url


@pytest.fixture
def stored(migrated: MigratedDatabase, ledger: SinkLedger) -> StoredTasks:
    return StoredTasks(migrated, ledger)


def store(stored: StoredTasks, **changes: Any) -> None:
    body = json.dumps([[1.0, "ü"], {"a": 10**30}, {**NO_CANVAS, "chord": {"task": "x"}}])
    sent = message(TASK, body.encode(), **changes)
    stored.store(TASK, keep_plain(sent))


def retry(stored: StoredTasks, url: str) -> Any:
    settings = DeploymentSettings(SHOP, url, allow_plain=True)
    with replica(stored.database.dsn("actions"), settings) as api:
        return send(api)


def send(api: Replica) -> Any:
    return api.do("retry", deployment=SHOP, task_id=TASK)


def taken(url: str, queue: str) -> Any:
    with Connection(url) as connection, connection.channel() as channel:
        got = channel.basic_get(queue, no_ack=True)
        assert got is not None
        assert channel.basic_get(queue, no_ack=True) is None
        return got


def test_rabbitmq_gets_the_message_where_the_first_one_went(
    stored: StoredTasks, rabbitmq: str
) -> None:
    exchange = Exchange("orders by topic", "topic")
    with Connection(rabbitmq) as connection:
        Queue("paid", exchange, "order.*", max_priority=9)(connection.channel()).declare()
    store(stored, exchange="orders by topic", routing_key="order.paid", priority=7)
    done = retry(stored, rabbitmq)
    assert done.outcome.state == "succeeded", done
    got = taken(rabbitmq, "paid")
    new = done.outcome.tasks[0].new_task_id
    info, properties, headers = got.delivery_info, got.properties, got.headers
    assert (info["exchange"], info["routing_key"]) == ("orders by topic", "order.paid")
    assert (properties["priority"], properties["delivery_mode"]) == (7, 2)
    assert properties["correlation_id"] == new
    assert "reply_to" not in properties
    assert (got.content_type, got.content_encoding) == ("application/json", "utf-8")
    assert (headers["id"], headers["origin"], headers["retries"]) == (new, ORIGIN, 0)
    body = got.body if isinstance(got.body, bytes) else got.body.encode()
    args = json.dumps([[1.0, "ü"], {"a": 10**30}])[:-1]
    assert body.decode().startswith(args)
    assert json.loads(body)[2] == NO_CANVAS


@pytest.mark.parametrize(("exchange", "routing_key"), [("", "no queue"), ("no exchange", "x")])
def test_what_no_queue_takes_was_not_sent(
    stored: StoredTasks, rabbitmq: str, exchange: str, routing_key: str
) -> None:
    store(stored, exchange=exchange, routing_key=routing_key)
    with pytest.raises(NoRoute) as refused:
        retry(stored, rabbitmq)
    assert refused.value.code == "no_route"
    assert [row[3] for row in stored.actions() if row[0] == "outcome"] == ["failed"]


@pytest.mark.parametrize("kind", ["direct", "topic"])
def test_valkey_gets_it_in_the_queue_that_is_bound(
    stored: StoredTasks, valkey: EmbeddedValkey, kind: str
) -> None:
    bound = "order.*" if kind == "topic" else "order.paid"
    with Connection(valkey.url) as connection:
        Queue("paid", Exchange("orders", kind), bound)(connection.channel()).declare()
    store(stored, exchange="orders", routing_key="order.paid")
    done = retry(stored, valkey.url)
    assert taken(valkey.url, "paid").headers["id"] == done.outcome.tasks[0].new_task_id


def test_valkey_has_no_queue_for_it(stored: StoredTasks, valkey: EmbeddedValkey) -> None:
    store(stored, exchange="orders", routing_key="order.paid")
    with pytest.raises(NoRoute):
        retry(stored, valkey.url)
