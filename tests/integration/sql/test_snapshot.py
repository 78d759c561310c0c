"""A snapshot that cannot be read to its end is told as one, whenever the server goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from celerytrail.sql.snapshot import snapshot
from celerytrail.sql.verification import CannotVerify

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]


@pytest.mark.parametrize("reads_on", [True, False])
def test_a_server_that_goes_is_told(migrated: MigratedDatabase, reads_on: bool) -> None:
    with pytest.raises(CannotVerify, match="cannot verify the ledger at"):
        read_while_it_goes(migrated, reads_on)


def read_while_it_goes(migrated: MigratedDatabase, reads_on: bool) -> None:
    with snapshot(migrated.dsn("verifier")) as connection:
        migrated.run(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 60000)")
        if reads_on:
            connection.execute("SELECT 1")
