"""One action, whoever asks how often, and whoever dies in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import Refused, Unavailable
from celerytrail.action_api.perform import PerformedAction
from celerytrail.action_api.verbs.retry import new_task_id
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from tests.integration.action_api.acting import ALICE, BOB, Replica, replica
from tests.integration.action_api.dying import run_until_it_dies
from tests.integration.action_api.stored_tasks import StoredTasks
from tests.span_rows import SHOP, task_rows
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASK = "11111111-1111-4111-8111-111111111111"
LEASE_SECONDS = 3.0
"""So long that a heartbeat of a third of it comes in time on a machine that does more."""


@pytest.fixture
def stored(migrated: MigratedDatabase, ledger: SinkLedger) -> StoredTasks:
    made = StoredTasks(migrated, ledger)
    made.plain(TASK)
    return made


@pytest.fixture
def shop(valkey: EmbeddedValkey) -> DeploymentSettings:
    return DeploymentSettings(SHOP, valkey.url, allow_plain=True)


def retry(api: Replica, **more: Any) -> PerformedAction:
    return api.do("retry", deployment=SHOP, task_id=TASK, **more)


def depth(api: Replica) -> int:
    state = api.brokers.of(SHOP).queue_state("orders")
    return 0 if state is None else state.depth


def states(stored: StoredTasks) -> list[str]:
    return [row[3] for row in stored.actions() if row[0] == "outcome"]


def sweep_until_written(api: Replica, stored: StoredTasks) -> None:
    """Look at what was left open until its outcome is in the ledger, which may be away at first."""

    def swept() -> bool:
        try:
            api.sweep().look()
        except Unavailable:
            return False
        return bool(states(stored))

    wait_until(swept, "the outcome is written")


def slow_publish(api: Replica, go_on: threading.Event, published: threading.Event) -> None:
    """Let the broker of a replica take the message, and answer only when it may."""
    broker = api.brokers.of(SHOP)
    publish = broker.publish

    def slow(*arguments: Any) -> None:
        publish(*arguments)
        published.set()
        assert go_on.wait(60)

    broker.publish = slow  # type: ignore[method-assign]


def test_two_operators_on_two_replicas_while_a_third_starts_send_one_message(
    stored: StoredTasks, shop: DeploymentSettings
) -> None:
    """The first is held up for three leases; only its heartbeat keeps the third one's sweep away."""
    dsn = stored.database.dsn("actions")
    with ExitStack() as stack:
        one, two, three = (
            stack.enter_context(
                replica(
                    dsn, shop, lease_seconds=LEASE_SECONDS, wait_seconds=60.0, sweep_seconds=1.0,
                    grace_seconds=0.0,
                )
            )
            for _ in range(3)
        )  # fmt: skip
        assert len({one.settings.holder, two.settings.holder, three.settings.holder}) == 3
        go_on, published = threading.Event(), threading.Event()
        slow_publish(one, go_on, published)
        done: dict[str, PerformedAction] = {}
        first = threading.Thread(target=lambda: done.update(alice=retry(one, actor=ALICE)))
        first.start()
        assert published.wait(60)
        second = threading.Thread(target=lambda: done.update(bob=retry(two, actor=BOB)))
        second.start()
        sweep = three.sweep()
        leases = stored.database.value("SELECT clock_timestamp()")
        wait_until(
            lambda: (
                sweep.look() == 0
                and stored.database.value(
                    "SELECT clock_timestamp() > %s::timestamptz + make_interval(secs => %s)",
                    leases,
                    3 * LEASE_SECONDS,
                )
            ),
            "three leases are over",
        )
        go_on.set()
        first.join(60)
        second.join(60)
        assert sweep.look() == 0
        assert depth(one) == 1
    assert done["alice"].outcome.state == done["bob"].outcome.state == "succeeded"
    assert done["alice"].action_id == done["bob"].action_id
    assert (done["alice"].duplicate, done["bob"].duplicate) == (False, True)
    assert done["bob"].actor == "grafana:1:alice"
    assert states(stored) == ["succeeded"]


def test_a_crowd_at_the_same_moment_sends_one_message(
    stored: StoredTasks, shop: DeploymentSettings
) -> None:
    dsn = stored.database.dsn("actions")
    with replica(dsn, shop) as one, replica(dsn, shop) as two:
        barrier = threading.Barrier(8)
        done: list[PerformedAction] = []

        def press(api: Replica) -> None:
            barrier.wait(60)
            done.append(retry(api))

        threads = [threading.Thread(target=press, args=(api,)) for api in (one, two) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert depth(one) == 1
    assert [one.duplicate for one in done].count(False) == 1
    assert len({one.action_id for one in done}) == 1
    assert states(stored) == ["succeeded"]


def test_an_idempotency_key_is_for_one_request(
    stored: StoredTasks, shop: DeploymentSettings
) -> None:
    stored.plain("another task")
    with replica(stored.database.dsn("actions"), shop, recent_seconds=0.0) as api:
        first = retry(api, idempotency_key="k1")
        again = retry(api, idempotency_key="k1")
        assert (again.action_id, again.same_key) == (first.action_id, True)
        with pytest.raises(Refused) as refused:
            api.do("retry", deployment=SHOP, task_id="another task", idempotency_key="k1")
        assert (refused.value.status, refused.value.code) == (409, "idempotency_conflict")
        assert depth(api) == 1
        # Without a key, and no longer recent, it is another action.
        assert not retry(api).duplicate
        assert depth(api) == 2


def test_who_waits_for_another_s_action_waits_for_a_bounded_time(
    stored: StoredTasks, shop: DeploymentSettings
) -> None:
    dsn = stored.database.dsn("actions")
    with replica(dsn, shop) as one, replica(dsn, shop, wait_seconds=0.2) as two:
        go_on, published = threading.Event(), threading.Event()
        slow_publish(one, go_on, published)
        first = threading.Thread(target=retry, args=(one,))
        first.start()
        assert published.wait(60)
        with pytest.raises(Refused) as refused:
            retry(two, actor=BOB)
        go_on.set()
        first.join(60)
    assert refused.value.code == "in_progress"
    assert refused.value.extra["actor"] == "grafana:1:alice"


CRASH = """
import os, signal, sys
from tests.integration.action_api.acting import replica
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.broker.broker import Broker
from celerytrail.exporter.deployment import Deployment
from celerytrail.action_api.ledger import Ledger

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "before":
    Broker.publish = die
else:
    Ledger.finish_intent = die
SHOP = Deployment("acme", "shop", "test")
with replica(sys.argv[1], DeploymentSettings(SHOP, sys.argv[2], allow_plain=True), lease_seconds=1.0) as api:
    api.do("retry", deployment=SHOP, task_id=sys.argv[4])
"""


def die(stored: StoredTasks, valkey: EmbeddedValkey, when: str) -> UUID:
    """Retry in a process that kills itself before or after the publish; return the intent."""
    run_until_it_dies(CRASH, stored.database.dsn("actions"), valkey.url, when, TASK)
    intent = stored.database.value("SELECT intent_id FROM celerytrail.intents WHERE state = 'open'")
    assert isinstance(intent, UUID)
    return intent


def test_a_process_that_died_after_the_publish_is_found_by_its_message(
    stored: StoredTasks, shop: DeploymentSettings, valkey: EmbeddedValkey
) -> None:
    intent = die(stored, valkey, "after")
    with replica(stored.database.dsn("actions"), shop, sweep_seconds=1.0) as api:
        assert depth(api) == 1
        wait_until(lambda: api.sweep().look() == 1, "the sweep finds it")
        assert depth(api) == 1
        again = retry(api)
    assert states(stored) == ["succeeded"]
    assert "found" in again.outcome.message
    assert (again.duplicate, again.action_id) == (True, intent)


def test_a_process_that_died_after_the_publish_is_found_by_its_task(
    stored: StoredTasks, shop: DeploymentSettings, valkey: EmbeddedValkey, ledger: SinkLedger
) -> None:
    intent = die(stored, valkey, "after")
    with replica(stored.database.dsn("actions"), shop, sweep_seconds=1.0) as api:
        api.brokers.of(SHOP).connections.change(
            lambda connection: connection.default_channel.queue_purge("orders")
        )
        assert wait_until(lambda: api.sweep().look() == 0, "nothing can be said yet")
        rows = task_rows(stored.next_seq, task_id=new_task_id(intent, TASK))
        assert ledger.write_spans(stored.database.token, rows[1:2]).inserted == 1
        wait_until(lambda: api.sweep().look() == 1, "the sweep finds it")
        assert depth(api) == 0
    assert states(stored) == ["succeeded"]


def test_a_process_that_died_before_the_publish_leaves_an_unknown_outcome_and_no_message(
    stored: StoredTasks, shop: DeploymentSettings, valkey: EmbeddedValkey
) -> None:
    intent = die(stored, valkey, "before")
    dsn = stored.database.dsn("actions")
    with replica(dsn, shop, sweep_seconds=1.0, lease_seconds=1.0, grace_seconds=3.0) as api:
        sweep = api.sweep()
        sweep.start()
        try:
            wait_until(lambda: states(stored), "the sweep gave up")
        finally:
            sweep.stop()
        assert depth(api) == 0
    assert states(stored) == ["unknown"]
    ((message, age),) = stored.database.rows(
        "SELECT outcome ->> 'message', extract(epoch FROM finished_at - created_at)::float8"
        " FROM celerytrail.intents WHERE intent_id = %s",
        intent,
    )
    assert new_task_id(intent, TASK) in message
    assert age > 4.0  # lease and grace


@contextmanager
def database_down(database: MigratedDatabase) -> Iterator[None]:
    """Let nobody in but the superuser, who is not asked, and throw out who is in."""
    with psycopg.connect(database.server.dsn("postgres"), autocommit=True) as admin:
        name = database.name.encode()
        admin.execute(b"ALTER DATABASE " + name + b" WITH ALLOW_CONNECTIONS false")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (database.name,),
        )
        try:
            yield
        finally:
            admin.execute(b"ALTER DATABASE " + name + b" WITH ALLOW_CONNECTIONS true")


def test_a_database_that_dies_after_the_publish_makes_the_answer_unknown_and_the_ledger_right(
    stored: StoredTasks, shop: DeploymentSettings
) -> None:
    dsn = stored.database.dsn("actions")
    with replica(dsn, shop, sweep_seconds=1.0) as api:
        go_on, published = threading.Event(), threading.Event()
        slow_publish(api, go_on, published)
        done: list[PerformedAction] = []
        thread = threading.Thread(target=lambda: done.append(retry(api)))
        thread.start()
        assert published.wait(60)
        with database_down(stored.database):
            go_on.set()
            thread.join(60)
            (answer,) = done
            assert answer.outcome.state == "unknown"
            assert "audit log" in answer.outcome.message
            assert len(api.unwritten) == 1
            with pytest.raises(Unavailable) as down:
                retry(api)
            assert down.value.status == 503

        sweep_until_written(api, stored)
        assert len(api.unwritten) == 0
        assert depth(api) == 1
    assert states(stored) == ["succeeded"]
