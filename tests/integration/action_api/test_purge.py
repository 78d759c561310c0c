"""Purge on Valkey and RabbitMQ: what was seen goes, each message is written down, the rest stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection

from celerytrail.action_api.action import ActionRequest
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import BadRequest, NotFound, Refused
from celerytrail.action_api.queues import queues
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from celerytrail.exporter.spool.trail import Trail
from tests.brokers import RabbitMQ, find_rabbitmq
from tests.integration.action_api.acting import ALICE, Replica, replica
from tests.integration.action_api.dying import run_until_it_dies
from tests.integration.action_api.stored_tasks import StoredTasks
from tests.span_rows import SHOP, task_rows
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

SENT = 1_700_000_000_000_000_000


@pytest.fixture
def stored(migrated: MigratedDatabase, ledger: SinkLedger) -> StoredTasks:
    made = StoredTasks(migrated, ledger)
    # The ledger knows the queue by a task that went there.
    (row, *_) = task_rows(task_id="known", end="failed")
    assert ledger.write_spans(migrated.token, [row]).inserted == 1
    return made


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "valkey":
        valkey: EmbeddedValkey = request.getfixturevalue("valkey")
        yield valkey.url
        return
    found = find_rabbitmq()
    if found is None:
        pytest.skip("no RabbitMQ server here")
    program, epmd = found
    with RabbitMQ(tmp_path / "rabbitmq", program=program, epmd=epmd) as server:
        yield server.url


def fill(url: str, count: int, first: int = 0, **more: Any) -> list[str]:
    """Put messages of tasks into the queue orders, as a publisher with an agent does."""
    ids = []
    with Connection(url) as connection, connection.channel() as channel:
        producer = connection.Producer(channel)
        connection.SimpleQueue("orders").close()
        for number in range(first, first + count):
            ids.append(f"task-{number:04}")
            trail = Trail("ab" * 16, f"{number + 1:016x}", SENT + number, queue="orders").text()
            producer.publish(
                [["secret argument"], {}, {}],
                exchange="",
                routing_key="orders",
                headers={"id": ids[-1], "task": "shop.pay", "retries": 0, "celerytrail": trail},
                **more,
            )
    return ids


def depth(api: Replica) -> int:
    state = api.brokers.of(SHOP).queue_state("orders")
    return 0 if state is None else state.depth


def purge(api: Replica, seen: int | None, queue: str = "orders") -> Any:
    more = {} if seen is None else {"seen_depth": str(seen)}
    return api.do("purge", deployment=SHOP, queue=queue, **more)


def preview(api: Replica) -> Any:
    verb = api.verbs["purge"]
    request = ActionRequest("purge", SHOP, {"queue": "orders"}, ALICE, "request")
    return verb.preview(verb.plan(request))


def test_what_was_seen_is_removed_and_every_task_is_purged(
    stored: StoredTasks, broker_url: str
) -> None:
    settings = DeploymentSettings(SHOP, broker_url)
    small = VerbSettings(purge_chunk=4)
    ids = fill(broker_url, 10)
    with replica(stored.database.dsn("actions"), settings, verb_settings=small) as api:
        looked = preview(api)
        assert looked["depth"] == 10
        assert looked["oldest_age_seconds"] > 0
        assert len(looked["sample"]) >= 1
        (listed,) = queues(api.ledger, api.brokers, SHOP)
        assert (listed["queue"], listed["depth"]) == ("orders", 10)

        with pytest.raises(Refused) as refused:
            purge(api, 8)
        assert (refused.value.code, refused.value.extra["depth"]) == ("depth_grown", 10)
        with pytest.raises(BadRequest):
            purge(api, None)
        with pytest.raises(NotFound):
            purge(api, 1, queue="no such queue")
        assert depth(api) == 10

        done = purge(api, 9)  # one more than was seen is within the tolerance
        assert done.outcome.state == "succeeded", done
        assert done.outcome.detail["removed"] == 10
        assert depth(api) == 0

    purged = stored.database.rows(
        "SELECT task_id, state FROM celerytrail_views.tasks WHERE task_id LIKE 'task-%%' ORDER BY 1"
    )
    assert purged == [(one, "purged") for one in ids]
    rows = stored.database.rows(
        "SELECT phase, detail::text FROM celerytrail.actions WHERE intent_id = %s ORDER BY batch_id",
        done.action_id,
    )
    assert [phase for phase, _ in rows] == ["intent", *["progress"] * 6, "outcome"]
    assert "secret argument" not in str(rows)
    written = [one for _, text in rows if text for one in json.loads(text).get("purged") or ()]
    assert [one["sent_unix_nano"] for one in written] == [SENT + n for n in range(10)]
    assert written[0]["send_id"] == f"{1:016x}"


def test_what_comes_meanwhile_and_what_is_no_task(stored: StoredTasks, broker_url: str) -> None:
    settings = DeploymentSettings(SHOP, broker_url)
    with replica(
        stored.database.dsn("actions"), settings, verb_settings=VerbSettings(purge_chunk=2)
    ) as api:
        fill(broker_url, 5)
        with Connection(broker_url) as connection, connection.channel() as channel:
            connection.Producer(channel).publish("no task", routing_key="orders", exchange="")
        intent_progress = api.ledger.progress_intent
        came: list[str] = []

        def progress(*arguments: Any) -> bool:
            came.extend(fill(broker_url, 10, first=100 + len(came)))
            return intent_progress(*arguments)

        api.ledger.progress_intent = progress  # type: ignore[method-assign]
        done = purge(api, 6)
        assert done.outcome.state == "succeeded"
        assert done.outcome.detail["removed"] == 6  # what was there when it began
        assert done.outcome.detail["not_tasks"] == 1
        assert depth(api) == len(came)


def test_a_queue_that_may_not_be_purged(stored: StoredTasks, valkey: EmbeddedValkey) -> None:
    fill(valkey.url, 1)
    settings = DeploymentSettings(SHOP, valkey.url, queues=frozenset({"mail"}))
    with (
        replica(stored.database.dsn("actions"), settings) as api,
        pytest.raises(Refused) as refused,
    ):
        purge(api, 1)
    assert refused.value.code == "queue_not_allowed"


def test_every_priority_of_a_queue_is_counted_and_removed(
    stored: StoredTasks, valkey: EmbeddedValkey
) -> None:
    for priority in (0, 3, 6, 9):
        fill(valkey.url, 2, first=priority * 10, priority=priority)
    with replica(stored.database.dsn("actions"), DeploymentSettings(SHOP, valkey.url)) as api:
        state = api.brokers.of(SHOP).queue_state("orders")
        assert state is not None
        assert (state.depth, state.oldest_sent_unix_nano) == (8, SENT)
        assert purge(api, 8).outcome.detail["removed"] == 8
        assert depth(api) == 0


CRASH = """
import os, signal, sys
from tests.integration.action_api.acting import replica
from celerytrail.action_api.broker.taking import Taking
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.exporter.deployment import Deployment

remove, times = Taking.remove, []

def die_at_the_second(self, taken):
    times.append(1)
    if len(times) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    remove(self, taken)

Taking.remove = die_at_the_second
SHOP = Deployment("acme", "shop", "test")
with replica(sys.argv[1], DeploymentSettings(SHOP, sys.argv[2]), verb_settings=VerbSettings(purge_chunk=4), lease_seconds=1.0) as api:
    api.do("purge", deployment=SHOP, queue="orders", seen_depth="10")
"""


def test_a_process_that_dies_in_a_purge_leaves_a_list_of_what_was_in_flight(
    stored: StoredTasks, valkey: EmbeddedValkey
) -> None:
    ids = fill(valkey.url, 10)
    run_until_it_dies(CRASH, stored.database.dsn("actions"), valkey.url)
    with replica(
        stored.database.dsn("actions"), DeploymentSettings(SHOP, valkey.url), sweep_seconds=1.0
    ) as api:
        wait_until(lambda: api.sweep().look() == 1, "the sweep finds it")
        assert depth(api) == 2  # four were removed, four wait for the broker to give them back
    ((state, tasks),) = stored.database.rows(
        "SELECT state, outcome -> 'tasks' FROM celerytrail.intents"
    )
    assert state == "unknown"
    by_result = {
        result: sorted(one["task_id"] for one in tasks if one["result"] == result)
        for result in ("purged", "unknown")
    }
    assert by_result == {"purged": ids[:4], "unknown": ids[4:8]}
