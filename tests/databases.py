"""A migrated database of its own for each test; used through ``pytest_plugins``.

Migrating takes a fifth of a second, so no template is kept: a copy of one would lack the rights
and settings that belong to a database and not to what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.migrate import migrate
from celerytrail.sql.tokens import create_token, token_hash
from tests.span_rows import NOON, SHOP

Connection = psycopg.Connection[tuple[Any, ...]]

READ_MODEL = (
    "tasks",
    "runs",
    "run_ends",
    "groups",
    "streams",
    "workers",
    "task_actions",
    "failures",
)


@dataclass(frozen=True)
class MigratedDatabase:
    """A database after `celerytrail migrate`, and a token of the shop."""

    server: EmbeddedPostgres
    name: str
    token: bytes

    def dsn(self, role: str = "postgres") -> str:
        """The address for the superuser, or for a role named without its prefix."""
        return self.server.dsn(self.name, role if role == "postgres" else f"celerytrail_{role}")

    @contextmanager
    def connect(self, role: str = "postgres", *, autocommit: bool = True) -> Iterator[Connection]:
        with psycopg.connect(self.dsn(role), autocommit=autocommit) as connection:
            yield connection

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def value(self, query: str, *parameters: object) -> Any:
        ((value,),) = self.rows(query, *parameters)
        return value

    def run(self, statements: str) -> None:
        with self.connect() as connection:
            connection.execute(statements.encode())

    def new_token(self, deployment: Deployment = SHOP, name: str = "another") -> bytes:
        """Make a token and return what the sink passes on of it: its SHA-256."""
        with self.connect() as connection:
            made = create_token(
                connection,
                name=name,
                namespace=deployment.namespace,
                service=deployment.service,
                environment=deployment.environment,
            )
        return token_hash(made.token)

    def read_model(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table of the read model, in the order of its key."""
        return {
            table: self.rows(f"SELECT t::text FROM celerytrail.{table} t ORDER BY 1")
            for table in READ_MODEL
        }


@pytest.fixture
def migrated(postgres: EmbeddedPostgres, database: str) -> MigratedDatabase:
    """A database after `celerytrail migrate`."""
    migrate(postgres.dsn(database))
    empty = MigratedDatabase(postgres, database, b"")
    # A run that goes over midnight writes on with the day it began in.
    empty.rows("SELECT celerytrail.ensure_partitions(%s, current_date)", NOON.date())
    return MigratedDatabase(postgres, database, empty.new_token(name="shop"))


@pytest.fixture
def ledger(migrated: MigratedDatabase) -> Iterator[Ledger]:
    """The sink's ledger on that database, as the sink's role."""
    opened = Ledger(migrated.dsn("sink"), max_size=4, timeout_seconds=20)
    opened.open()
    yield opened
    opened.close()
