"""One stage for all scenarios."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from tests.acceptance.pipeline import prepared
from tests.scenarios.play import Stage


@pytest.fixture(scope="session")
def stage(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A ledger with a sink in front of it, on which each target is played once."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name)
    try:
        with prepared(postgres, name, "", tmp_path_factory.mktemp("scenarios")) as pipeline:
            yield Stage(pipeline)
    finally:
        postgres.drop_database(name)
