"""A migrated database for each test."""

from __future__ import annotations

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.migrate import migrate
from tests.integration.roles.ledger_database import LedgerDatabase


@pytest.fixture
def ledger_database(postgres: EmbeddedPostgres, database: str) -> LedgerDatabase:
    """A database after `celerytrail migrate`, empty."""
    migrate(postgres.dsn(database))
    return LedgerDatabase(postgres, database)


@pytest.fixture
def token(ledger_database: LedgerDatabase) -> bytes:
    """SHA-256 of a token of the shop."""
    return ledger_database.token()
