"""Retry chord when a broker or a process fails: nothing is sent twice, and it is said what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import ActionApiError, Refused
from celerytrail.action_api.verbs.retry import new_task_id
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from tests.integration.action_api.acting import Replica, replica
from tests.integration.action_api.dying import run_until_it_dies
from tests.integration.action_api.stored_tasks import NO_CANVAS, StoredTasks, listening_socket
from tests.span_rows import SHOP, task_rows
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

BODY = {
    "task": "shop.total",
    "args": [],
    "kwargs": {},
    "options": {"task_id": "the body"},
    "subtask_type": None,
    "immutable": False,
}
HEADERS = ["header 1", "header 2", "header 3"]


@pytest.fixture
def stored(migrated: MigratedDatabase, ledger: SinkLedger) -> StoredTasks:
    made = StoredTasks(migrated, ledger)
    for task_id in HEADERS:
        made.plain(task_id, {**NO_CANVAS, "chord": BODY}, group_id="g")
    return made


def settings(broker: str, backend: str) -> DeploymentSettings:
    return DeploymentSettings(SHOP, broker, result_backend=backend, allow_plain=True)


def retry(api: Replica) -> Any:
    return api.do("retry-chord", deployment=SHOP, group_id="g")


def depth(api: Replica) -> int:
    state = api.brokers.of(SHOP).queue_state("orders")
    return 0 if state is None else state.depth


def outcomes(stored: StoredTasks) -> list[str]:
    return [row[3] for row in stored.actions() if row[0] == "outcome"]


def test_a_dead_or_silent_result_backend_or_broker_is_known_before_anything_is_sent(
    stored: StoredTasks, valkey: EmbeddedValkey
) -> None:
    bounds = BrokerBounds(connect_seconds=0.5, total_seconds=1.0)
    with listening_socket() as (silent, _):
        for broker, backend in (
            (valkey.url, "redis://:geheim@127.0.0.1:1/0"),
            (valkey.url, f"redis://:geheim@{silent}/0"),
            ("redis://:geheim@127.0.0.1:1/0", valkey.url),
            (f"redis://:geheim@{silent}/0", valkey.url),
        ):
            with (
                replica(
                    stored.database.dsn("actions"), settings(broker, backend), bounds=bounds
                ) as api,
                pytest.raises(ActionApiError) as down,
            ):
                retry(api)
            assert (down.value.status, down.value.code) == (503, "broker_unavailable")
            assert "geheim" not in str(down.value)
    assert outcomes(stored) == ["failed"] * 4
    with replica(stored.database.dsn("actions"), settings(valkey.url, valkey.url)) as api:
        done = retry(api)
        assert done.outcome.state == "succeeded", done
        assert depth(api) == 3
        assert {task.task_id for task in done.outcome.tasks} == {*HEADERS, "the body"}


def test_a_chord_with_a_member_that_runs_is_refused(
    stored: StoredTasks, valkey: EmbeddedValkey
) -> None:
    (sent, received, started, _) = task_rows(stored.next_seq, task_id="late", group_id="g")
    assert stored.sink.write_spans(stored.database.token, [sent, received, started]).inserted == 3
    with (
        replica(stored.database.dsn("actions"), settings(valkey.url, valkey.url)) as api,
        pytest.raises(Refused) as refused,
    ):
        retry(api)
    assert refused.value.code == "still_running"


CRASH = """
import os, signal, sys
from tests.integration.action_api.acting import replica
from celerytrail.action_api.broker import canvas
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.exporter.deployment import Deployment

send, times = canvas._Sending.__call__, []

def die_at_the_third(self, *arguments, **options):
    times.append(1)
    if len(times) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(self, *arguments, **options)

canvas._Sending.__call__ = die_at_the_third
SHOP = Deployment("acme", "shop", "test")
settings = DeploymentSettings(SHOP, sys.argv[2], result_backend=sys.argv[2], allow_plain=True)
with replica(sys.argv[1], settings, lease_seconds=1.0) as api:
    api.do("retry-chord", deployment=SHOP, group_id="g")
"""


def test_a_process_that_dies_between_two_headers_is_partial_and_never_goes_on(
    stored: StoredTasks, valkey: EmbeddedValkey, ledger: SinkLedger
) -> None:
    run_until_it_dies(CRASH, stored.database.dsn("actions"), valkey.url)
    intent = stored.database.value("SELECT intent_id FROM celerytrail.intents")
    with replica(
        stored.database.dsn("actions"),
        settings(valkey.url, valkey.url),
        lease_seconds=1.0,
        sweep_seconds=1.0,
        grace_seconds=1.0,
    ) as api:
        assert depth(api) == 2
        seen = task_rows(stored.next_seq, task_id=new_task_id(intent, HEADERS[0]))
        assert ledger.write_spans(stored.database.token, seen[1:2]).inserted == 1
        wait_until(lambda: api.sweep().look() == 1, "the sweep gave up")
        assert depth(api) == 2
    assert outcomes(stored) == ["partial"]
    ((tasks,),) = stored.database.rows("SELECT outcome -> 'tasks' FROM celerytrail.intents")
    assert {one["task_id"]: one["result"] for one in tasks} == {
        **dict.fromkeys([*HEADERS, "the body"], "unknown"),
        HEADERS[0]: "sent",
    }
