"""Bodies that were not sealed for this task: refused before any broker is asked."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from kombu import Connection

from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import ActionApiError, Refused
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sealed import keep_plain
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from tests.integration.action_api.acting import Replica, replica
from tests.integration.action_api.stored_tasks import (
    NO_CANVAS,
    Sealer,
    StoredTasks,
    listening_socket,
    message,
)
from tests.span_rows import SHOP

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASK = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def stored(migrated: MigratedDatabase, ledger: SinkLedger) -> StoredTasks:
    return StoredTasks(migrated, ledger)


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    return Sealer(tmp_path / "keys", ledger_id="6a0e7a52-0000-4000-8000-000000000000")


def retry(api: Replica, task_id: str = TASK, **more: Any) -> Any:
    return api.do("retry", deployment=SHOP, task_id=task_id, **more)


Forge = Callable[[Sealer, int, str], bytes]

FORGED: dict[str, Forge] = {
    "sealed without the shared secret": lambda sealer, seq, task: sealer.seal(
        message(task), seq=seq, psk=os.urandom(32)
    ),
    "sealed for another task": lambda sealer, seq, task: sealer.seal(message(OTHER), seq=seq),
    "sealed for another task under this id": lambda sealer, seq, task: sealer.seal(
        message(task), seq=seq, task_id=OTHER
    ),
    "another task's message in a seal for this one": lambda sealer, seq, task: sealer.seal(
        message(OTHER), seq=seq, task_id=TASK
    ),
    "sealed for another attempt": lambda sealer, seq, task: sealer.seal(
        message(task), seq=seq, retries=1
    ),
    "sealed for another deployment": lambda sealer, seq, task: sealer.seal(
        message(task), seq=seq, deployment="acme/shop/production"
    ),
    "sealed for another record": lambda sealer, seq, task: sealer.seal(message(task), seq=seq + 1),
    "sealed for another stream": lambda sealer, seq, task: sealer.seal(
        message(task), seq=seq, stream=UUID(int=1)
    ),
    "sealed for another ledger": lambda sealer, seq, task: sealer.seal(
        message(task), seq=seq, ledger_id="another"
    ),
    "one bit of the wrap changed": lambda sealer, seq, task: flipped(
        sealer.seal(message(task), seq=seq), 40
    ),
    "one bit of the last byte changed": lambda sealer, seq, task: flipped(
        sealer.seal(message(task), seq=seq), -1
    ),
    "not sealed at all": lambda sealer, seq, task: keep_plain(message(task)),
    "no container": lambda sealer, seq, task: b"\x07nothing of ours",
}


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 0x10
    return bytes(changed)


def test_a_body_that_is_not_this_task_s_is_refused_and_no_broker_is_asked(
    stored: StoredTasks, sealer: Sealer
) -> None:
    with listening_socket() as (where, came):
        settings = sealer.settings(f"redis://{where}/0")
        with replica(stored.database.dsn("actions"), settings) as api:
            for how, forge in FORGED.items():
                task = str(uuid4())
                stored.store(task, forge(sealer, stored.next_seq, task))
                with pytest.raises(Refused) as refused:
                    retry(api, task)
                assert refused.value.code == "not_sealed_for_this", how
        assert came == []
    assert stored.actions() == []


def test_what_is_sealed_for_it_is_sent_once_and_without_what_followed(
    stored: StoredTasks, sealer: Sealer, valkey: EmbeddedValkey
) -> None:
    """The other side of the test above: the same settings send what was not forged."""
    canvas = {**NO_CANVAS, "callbacks": [{"task": "shop.tell"}], "chain": [{"task": "shop.next"}]}
    stored.store(TASK, sealer.seal(message(TASK, canvas), seq=stored.next_seq))
    with replica(stored.database.dsn("actions"), sealer.settings(valkey.url)) as api:
        done = retry(api)
        assert done.outcome.state == "succeeded", done
        state = api.brokers.of(SHOP).peek("orders", 10)
    assert state is not None
    (headers,) = state
    new = done.outcome.tasks[0].new_task_id
    assert (headers["id"], headers["root_id"]) == (new, new)
    assert [headers[name] for name in ("parent_id", "group", "eta", "expires", "retries")] == [
        *[None] * 4,
        0,
    ]
    assert headers["timelimit"] == [30, None]
    assert "celerytrail" not in headers
    (body,) = bodies(valkey)
    assert b"shop.tell" not in body
    assert b"shop.next" not in body
    assert body.startswith(b"[[1], {}, ")


def test_a_superuser_who_changes_payload_or_span_is_found_out(
    stored: StoredTasks, sealer: Sealer
) -> None:
    good = sealer.seal(message(TASK), seq=stored.next_seq)
    stored.store(TASK, good)
    with listening_socket() as (where, came):
        with replica(stored.database.dsn("actions"), sealer.settings(f"redis://{where}/0")) as api:
            stored.database.run(
                "ALTER TABLE celerytrail.payloads DISABLE TRIGGER USER;"
                "UPDATE celerytrail.payloads SET body = body || '\\x00'"
            )
            with pytest.raises(Refused) as refused:
                retry(api)
            assert refused.value.code == "ledger_broken"

            stored.database.run(
                "UPDATE celerytrail.payloads SET body = substr(body, 1, octet_length(body) - 1);"
                "ALTER TABLE celerytrail.spans DISABLE TRIGGER USER;"
                'UPDATE celerytrail.spans SET attributes = \'{"celery.routing_key": "x"}\''
                " WHERE step = 'sent'"
            )
            with pytest.raises(Refused) as refused:
                retry(api)
            assert refused.value.code == "ledger_broken"
            assert "celerytrail verify" in str(refused.value)
        assert came == []
    assert stored.actions() == []


class WritesAFile:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_loaded_and_sent_only_where_that_is_allowed(
    stored: StoredTasks, sealer: Sealer, valkey: EmbeddedValkey, tmp_path: Path, protocol: int
) -> None:
    touched = tmp_path / "touched"
    body = pickle.dumps(([WritesAFile(touched)], {}, NO_CANVAS), protocol)
    chained = pickle.dumps(([1], {}, {**NO_CANVAS, "chain": [{"task": "x"}]}), protocol)
    pickled = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
    stored.store(TASK, sealer.seal(message(TASK, body, **pickled), seq=stored.next_seq))
    stored.store(OTHER, sealer.seal(message(OTHER, chained, **pickled), seq=stored.next_seq))
    dsn = stored.database.dsn("actions")
    with replica(dsn, sealer.settings(valkey.url)) as api:
        with pytest.raises(Refused) as refused:
            retry(api)
        assert refused.value.code == "pickle_not_allowed"
        assert bodies(valkey) == []
    allowing = sealer.settings(valkey.url, allow_content=frozenset({"json", "pickle"}))
    with replica(dsn, allowing) as api:
        with pytest.raises(Refused) as refused:
            retry(api, OTHER)
        assert refused.value.code == "canvas_not_removable"
        assert retry(api).outcome.state == "succeeded"
    assert bodies(valkey) == [body]
    assert not touched.exists()


def test_a_dead_or_silent_broker_is_a_bounded_answer_and_does_not_block_the_next_try(
    stored: StoredTasks, valkey: EmbeddedValkey
) -> None:
    stored.plain(TASK)
    dsn = stored.database.dsn("actions")
    bounds = BrokerBounds(connect_seconds=0.5, total_seconds=1.0)
    with listening_socket() as (silent, _):
        for url in (
            "redis://:geheim@127.0.0.1:1/0",
            "amqp://user:geheim@127.0.0.1:1//",
            f"redis://:geheim@{silent}/0",
            f"amqp://user:geheim@{silent}//",
        ):
            settings = DeploymentSettings(SHOP, url, allow_plain=True)
            with (
                replica(dsn, settings, bounds=bounds) as api,
                pytest.raises(ActionApiError) as down,
            ):
                retry(api)
            assert (down.value.status, down.value.code) == (503, "broker_unavailable")
            assert "geheim" not in str(down.value)
    assert [row[0] for row in stored.actions()] == ["intent", "outcome"] * 4
    assert {row[3] for row in stored.actions() if row[0] == "outcome"} == {"failed"}
    assert "geheim" not in str(stored.actions())
    settings = DeploymentSettings(SHOP, valkey.url, allow_plain=True)
    with replica(dsn, settings) as api:
        assert retry(api).outcome.state == "succeeded"
    assert len(bodies(valkey)) == 1


def bodies(valkey: EmbeddedValkey) -> list[bytes]:
    """The bodies that wait in the queue, as a worker would get them."""
    with Connection(valkey.url) as connection, connection.channel() as channel:
        found = []
        while (got := channel.basic_get("orders", no_ack=False)) is not None:
            found.append(got.body if isinstance(got.body, bytes) else got.body.encode())
    return found
