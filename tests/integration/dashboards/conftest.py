"""A small shop that all tests of this folder look at, and the browser that draws."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from celerytrail.dashboards.drawing import node_project
from celerytrail.dashboards.drawing.data_source import DataSource, TimeRange
from celerytrail.dashboards.drawing.errors import InstallFailed
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.migrate import migrate
from tests.integration.dashboards.small_shop import open_shop
from tests.span_rows import NOON

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

DASHBOARDS = Path(__file__).parents[3] / "provisioning" / "grafana" / "dashboards"


@pytest.fixture(scope="session")
def browser() -> None:
    """The Node project with its packages, and a Chromium."""
    missing = node_project.missing()
    if missing is not None:
        pytest.skip(missing)
    try:
        node_project.ready()
    except InstallFailed as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def dashboards() -> dict[str, dict[str, Any]]:
    """The committed dashboards by uid."""
    found = [json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))]
    return {one["uid"]: one for one in found}


@pytest.fixture(scope="session")
def within() -> TimeRange:
    """The range of time in which the small shop was open."""
    return TimeRange(NOON - timedelta(seconds=5), NOON + timedelta(seconds=55))


@pytest.fixture(scope="session")
def small_shop(postgres: EmbeddedPostgres) -> Iterator[MigratedDatabase]:
    """A database with the small shop; tests only read it."""
    # Not imported above: other files of this folder name it as a plugin, which has to come first.
    from tests.databases import MigratedDatabase

    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name)
    migrate(postgres.dsn(name))
    empty = MigratedDatabase(postgres, name, b"")
    shop = MigratedDatabase(postgres, name, empty.new_token(name="shop"))
    open_shop(shop)
    yield shop
    postgres.drop_database(name)


@pytest.fixture
def data_source(small_shop: MigratedDatabase) -> Iterator[DataSource]:
    """What Grafana's role sees of the small shop."""
    with DataSource(small_shop.dsn("grafana")) as opened:
        yield opened
