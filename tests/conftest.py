"""Fixtures that all tests share: real servers on free ports, and directories they can live in."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.browser.host_page import browser, host_page, plugin_site
from tests.skipped import SkipReport

# Modules that a test may import before another one names them as a plugin.
pytest.register_assert_rewrite("tests.databases", "tests.postgres_majors")

# How long an example takes says what else the machine does; it is no property of the code.
settings.register_profile(
    "celerytrail", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("celerytrail")

# Once for all folders: two browsers' drivers cannot live in one process.
__all__ = ["browser", "host_page", "plugin_site"]


def pytest_configure(config: pytest.Config) -> None:
    """Watch what is skipped."""
    strict = os.environ.get("CELERYTRAIL_TEST_STRICT_SKIPS") == "1"
    config.pluginmanager.register(SkipReport(strict=strict))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter made of bytes by its length: bytes may hold a time, and names must agree.

    Each process of pytest-xdist collects the tests for itself and they have to find the same.
    """
    return f"{argname}-of-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """A directory that the user nobody can pass through, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="celerytrail-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_bin() -> str | None:
    """Which Postgres to test with: ``system``, ``wheel``, a directory, or None for the best."""
    return os.environ.get("CELERYTRAIL_TEST_POSTGRES_BIN") or None


@pytest.fixture(scope="session")
def postgres(server_directory: Path, postgres_bin: str | None) -> Iterator[EmbeddedPostgres]:
    """One real Postgres server for all tests. Roles are shared by its databases; do not stop it."""
    settings = {"fsync": "off", "max_connections": "200"}
    with EmbeddedPostgres(
        server_directory / "postgres", bin_dir=postgres_bin, settings=settings
    ) as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of an empty database of its own for one test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name)
    yield name
    postgres.drop_database(name)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A real Valkey server for one test, which may stop and start it."""
    with EmbeddedValkey(tmp_path / "valkey") as server:
        yield server
