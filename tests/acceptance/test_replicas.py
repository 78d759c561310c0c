"""Several action APIs, each a process of its own, over one database and one broker."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.control_room import ControlRoom, control_room
from tests.acceptance.pipeline import Pipeline
from tests.waiting import wait_until

SHOP = {"namespace": "shop", "service": "orders", "environment": "test"}
LEASE_SECONDS = 3
BOUNDS = f"\n[limits]\nlease_seconds = {LEASE_SECONDS}\nbroker_seconds = 60\n"


@pytest.fixture
def replicas(pipeline: Pipeline, valkey: EmbeddedValkey) -> Iterator[ControlRoom]:
    """An action API whose leases are short, and which waits long for its broker."""
    with control_room(pipeline, valkey, more=BOUNDS) as made:
        yield made


def operator(room: ControlRoom, name: str) -> str:
    """Return an API token of an operator of that name."""
    deployment = [part for key, value in SHOP.items() for part in (f"--{key}", value)]
    made = room.pipeline.command(
        "tokens", "create", "--dsn", room.pipeline.dsn(), "--for", "actions", "--name", name,
        *deployment, "--scope", "retry", "--expires-in-days", "1",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[-1]


def retry(port: int, token: str, task_id: str) -> dict[str, Any]:
    """Ask a replica to retry a task, again for as long as it says that it is being done."""

    def ask() -> dict[str, Any] | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            connection.request(
                "POST",
                f"/v1/operator/retry?{urlencode({**SHOP, 'task_id': task_id})}",
                b"{}",
                {
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/json",
                    "X-Celerytrail-Action": "1",
                },
            )
            response = connection.getresponse()
            said: dict[str, Any] = {"status": response.status, **json.loads(response.read())}
        finally:
            connection.close()
        if said.get("code") == "in_progress":
            return None
        return said

    found = wait_until(ask, "the action has an outcome", 120)
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_two_operators_on_two_replicas_while_a_third_starts_send_one_message(
    replicas: ControlRoom,
) -> None:
    """The broker stands still for several leases, while a minute ends; then it goes on."""
    room, database = replicas, replicas.pipeline
    worker = room.start_worker()
    room.broken.touch()
    old = room.publish("charge", "5")["id"]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=old, state="failed")
    room.broken.unlink()
    assert worker.stop() == 0
    tokens = [operator(room, name) for name in ("alice", "bob")]
    ports = [int((database.directory / "api-0.port").read_text()), room.start_api()]
    said: list[dict[str, Any]] = []

    def press(number: int) -> None:
        said.append(retry(ports[number], tokens[number], old))

    operators = [threading.Thread(target=press, args=(number,)) for number in range(2)]
    wait_until(
        lambda: database.rows("SELECT extract(second FROM clock_timestamp()) > 55 AS soon")[0][
            "soon"
        ],
        "a minute is about to end",
        90,
    )
    os.kill(room.valkey.pid, signal.SIGSTOP)
    try:
        for one in operators:
            one.start()
        wait_until(
            lambda: database.rows("SELECT created_at FROM celerytrail.intents") or said,
            "one of them is at work",
        )
        assert not said
        room.start_api()  # its first look at open actions is when it starts
        wait_until(
            lambda: database.rows(
                "SELECT date_trunc('minute', clock_timestamp()) > date_trunc('minute', created_at)"
                " AND clock_timestamp() > created_at + make_interval(secs => %s) AS over"
                " FROM celerytrail.intents",
                3 * LEASE_SECONDS,
            )[0]["over"],
            "the minute and three leases are over",
            90,
        )
        (open_one,) = database.rows("SELECT state FROM celerytrail.intents")
        assert open_one["state"] == "open"
    finally:
        os.kill(room.valkey.pid, signal.SIGCONT)
    for one in operators:
        one.join(120)

    assert [(answer["status"], answer.get("state")) for answer in said] == [(200, "succeeded")] * 2
    assert sorted(answer["duplicate"] for answer in said) == [False, True]
    assert len({answer["action_id"] for answer in said}) == 1
    assert len({answer["actor"] for answer in said}) == 1
    rows = room.actions(verb="retry")
    # Who waited too long for the other's outcome was told to ask again, and that is recorded too.
    asked_again = [row["detail"]["code"] for row in rows if row["phase"] == "refused"]
    assert set(asked_again) <= {"in_progress"}
    assert [row["phase"] for row in rows if row["phase"] != "refused"] == ["intent", "outcome"]
    (new,) = {answer["tasks"][0]["new_task_id"] for answer in said}
    worker = room.start_worker()
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=new, state="succeeded")
    # What is sent after it has run has run after all that was sent.
    last = room.publish("charge", "6")["id"]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=last, state="succeeded")
    assert worker.stop() == 0
    assert [line["id"] for line in database.recorded()] == [old, new, last]
