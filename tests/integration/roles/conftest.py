"""A migrated database for each test, to be attacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.roles.ledger_database import LedgerDatabase

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase


@pytest.fixture
def ledger_database(migrated: MigratedDatabase) -> LedgerDatabase:
    """A database after `celerytrail migrate`, empty but for a token of the shop."""
    return LedgerDatabase(migrated)
