"""Fixtures around a real sink; used through ``pytest_plugins``, never imported."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.deployment import Deployment
from celerytrail.sql.migrate import migrate
from celerytrail.sql.tokens import create_token
from tests.otlp_requests import SHOP
from tests.sink_process import SinkProcess


@dataclass(frozen=True, slots=True)
class SinkDatabase:
    """A migrated database, its superuser's DSN, the sink's own, and a token for the shop."""

    admin: str
    dsn: str
    token: str

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            return connection.execute(statement.encode(), parameters).fetchall()

    def value(self, statement: str, *parameters: Any) -> Any:
        return self.query(statement, *parameters)[0][0]

    def execute(self, statement: str, *parameters: Any) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement.encode(), parameters)

    def new_token(self, deployment: Deployment) -> str:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            return create_token(
                connection,
                name=uuid.uuid4().hex[:12],
                namespace=deployment.namespace,
                service=deployment.service,
                environment=deployment.environment,
            ).token


def prepared(server: EmbeddedPostgres, database: str) -> SinkDatabase:
    admin = server.dsn(database)
    migrate(admin)
    dsn = server.dsn(database, "celerytrail_sink")
    empty = SinkDatabase(admin, dsn, "")
    return SinkDatabase(admin, dsn, empty.new_token(SHOP))


@pytest.fixture
def sink_database(postgres: EmbeddedPostgres, database: str) -> SinkDatabase:
    """A migrated database of its own."""
    return prepared(postgres, database)


@pytest.fixture
def make_sink(tmp_path: Path) -> Iterator[Callable[..., SinkProcess]]:
    """Makes sinks that are stopped at the end of the test."""
    made: list[SinkProcess] = []

    def make(database: SinkDatabase, *arguments: str, **environ: str) -> SinkProcess:
        directory = tmp_path / f"sink-{len(made)}"
        directory.mkdir()
        made.append(SinkProcess(database.dsn, directory, database.token, environ, arguments))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def sink(sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess]) -> SinkProcess:
    """A running sink over a database of its own."""
    process = make_sink(sink_database)
    process.start()
    return process
