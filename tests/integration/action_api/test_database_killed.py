"""A database server that is killed between the deed and its outcome, and comes back."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import Unavailable
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from celerytrail.sql.migrate import migrate
from tests.integration.action_api.acting import replica
from tests.integration.action_api.stored_tasks import StoredTasks
from tests.integration.action_api.test_intents import (
    TASK,
    depth,
    retry,
    slow_publish,
    states,
    sweep_until_written,
)
from tests.span_rows import SHOP
from tests.waiting import wait_until

pytest_plugins = ["tests.databases"]


def test_a_server_that_is_killed_after_the_publish_learns_the_outcome_when_it_is_back(
    tmp_path: Path, postgres_bin: str | None, valkey: EmbeddedValkey
) -> None:
    from tests.databases import MigratedDatabase  # a plugin of pytest: not before it is loaded

    with EmbeddedPostgres(tmp_path / "postgres", bin_dir=postgres_bin) as server:
        server.create_database("trail")
        migrate(server.dsn("trail"))
        token = MigratedDatabase(server, "trail", b"").new_token(name="shop")
        database = MigratedDatabase(server, "trail", token)
        sink = SinkLedger(database.dsn("sink"), max_size=2, timeout_seconds=20)
        sink.open()
        stored = StoredTasks(database, sink)
        stored.plain(TASK)
        sink.close()
        shop = DeploymentSettings(SHOP, valkey.url, allow_plain=True)
        with replica(database.dsn("actions"), shop, sweep_seconds=1.0) as api:
            go_on, published = threading.Event(), threading.Event()
            slow_publish(api, go_on, published)
            done: list[Any] = []
            thread = threading.Thread(target=lambda: done.append(retry(api)))
            thread.start()
            assert published.wait(60)
            os.kill(server.pid, signal.SIGKILL)
            wait_until(lambda: not server.running, "the server is gone")
            go_on.set()
            thread.join(60)
            assert done[0].outcome.state == "unknown"
            with pytest.raises(Unavailable):
                retry(api)
            server.start()

            sweep_until_written(api, stored)
            again = retry(api)
            assert (again.duplicate, again.outcome.state) == (True, "succeeded")
            assert depth(api) == 1
        assert states(stored) == ["succeeded"]
