"""Where the headers of a retried chord go: where they went the first time, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Connection, Exchange, Queue

from celerytrail.action_api.broker.errors import NoRoute
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sealed import keep_plain
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from tests.integration.action_api.acting import replica
from tests.integration.action_api.stored_tasks import NO_CANVAS, StoredTasks, message
from tests.integration.action_api.test_chord_faults import BODY, HEADERS
from tests.integration.action_api.test_retry_routing import rabbitmq
from tests.span_rows import SHOP

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

__all__ = ["rabbitmq"]

pytest_plugins = ["tests.databases"]


@pytest.fixture
def stored(migrated: MigratedDatabase, ledger: SinkLedger) -> StoredTasks:
    made = StoredTasks(migrated, ledger)
    for task_id in HEADERS:
        sent = message(
            task_id, {**NO_CANVAS, "chord": BODY}, exchange="by topic", routing_key="order.paid"
        )
        made.store(task_id, keep_plain(sent), group_id="g")
    return made


def test_valkey_gets_the_headers_in_the_queue_that_is_bound(
    stored: StoredTasks, valkey: EmbeddedValkey
) -> None:
    with Connection(valkey.url) as connection, connection.channel() as channel:
        Queue("paid", Exchange("by topic", "topic"), "order.*")(channel).declare()
    settings = DeploymentSettings(SHOP, valkey.url, result_backend=valkey.url, allow_plain=True)
    with replica(stored.database.dsn("actions"), settings) as api:
        done = api.do("retry-chord", deployment=SHOP, group_id="g")
        assert done.outcome.state == "succeeded"
        state = api.brokers.of(SHOP).queue_state("paid")
        assert state is not None
        assert state.depth == len(HEADERS)


def test_without_a_queue_nothing_of_it_is_sent(stored: StoredTasks, valkey: EmbeddedValkey) -> None:
    settings = DeploymentSettings(SHOP, valkey.url, result_backend=valkey.url, allow_plain=True)
    with replica(stored.database.dsn("actions"), settings) as api, pytest.raises(NoRoute):
        api.do("retry-chord", deployment=SHOP, group_id="g")
    assert [row[3] for row in stored.actions() if row[0] == "outcome"] == ["failed"]


@pytest.mark.parametrize("there", [True, False])
def test_rabbitmq_says_whether_a_queue_takes_them(
    stored: StoredTasks,
    rabbitmq: str,
    valkey: EmbeddedValkey,
    there: bool,
) -> None:
    with Connection(rabbitmq) as connection, connection.channel() as channel:
        exchange = Exchange("by topic", "topic")
        exchange(channel).declare()
        if there:
            Queue("paid", exchange, "order.*")(channel).declare()
    settings = DeploymentSettings(SHOP, rabbitmq, result_backend=valkey.url, allow_plain=True)
    with replica(stored.database.dsn("actions"), settings) as api:
        done = api.do("retry-chord", deployment=SHOP, group_id="g")
        assert done.outcome.state == ("succeeded" if there else "failed"), done
        state = api.brokers.of(SHOP).queue_state("paid")
        assert (None if state is None else state.depth) == (len(HEADERS) if there else None)
        if there:
            api.brokers.of(SHOP).connections.change(
                lambda connection: connection.default_channel.queue_delete("paid")
            )
