"""A served action API as a fixture; used through ``pytest_plugins``, never imported."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.sql.migrate import migrate
from tests.action_api_process import ActionApiProcess
from tests.integration.action_api.grafana_identity import KeyServer
from tests.integration.action_api.served import MANY, Served, fill


@pytest.fixture(scope="module")
def served(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """One action API for the tests of a module; each looks for the rows of its own requests."""
    directory = tmp_path_factory.mktemp("served")
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name)
    migrate(postgres.dsn(name))
    fill(postgres, name)
    with (
        socket.create_server(("127.0.0.1", 0)) as other_broker,
        KeyServer() as key_server,
        EmbeddedValkey(directory / "valkey") as valkey,
    ):
        other_broker.setblocking(False)
        made = Served(
            postgres.dsn(name),
            postgres.dsn(name, "celerytrail_actions"),
            directory,
            valkey,
            key_server,
            other_broker,
            ActionApiProcess("", directory, ""),
        )
        made.api = made.another(directory / "api")
        made.api.start()
        try:
            yield made
        finally:
            made.api.close()
    postgres.drop_database(name)


@pytest.fixture
def another_api(served: Served, tmp_path: Path) -> Iterator[Callable[..., ActionApiProcess]]:
    """Makes and starts further processes, which are stopped at the end of the test."""
    made: list[ActionApiProcess] = []

    def make(limits: str = MANY, *arguments: str) -> ActionApiProcess:
        made.append(served.another(tmp_path / f"api-{len(made)}", limits, *arguments))
        made[-1].start()
        return made[-1]

    yield make
    for process in made:
        process.close()
