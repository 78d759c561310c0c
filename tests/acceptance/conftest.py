"""The whole pipeline as a fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.control_room import ControlRoom, control_room
from tests.acceptance.pipeline import Pipeline, prepared
from tests.celery_versions import NEWEST, interpreter


@pytest.fixture
def pipeline(
    postgres: EmbeddedPostgres, database: str, valkey: EmbeddedValkey, tmp_path: Path
) -> Iterator[Pipeline]:
    """A migrated database with a sink in front of it; workers are the test's own."""
    with prepared(postgres, database, valkey.url, tmp_path / "pipeline") as made:
        yield made


@pytest.fixture(params=[NEWEST, "5.2"])
def any_celery(request: pytest.FixtureRequest, pipeline: Pipeline) -> Pipeline:
    """The pipeline with workers and publishers of the newest and of the oldest Celery."""
    pipeline.python = interpreter(request.param)
    return pipeline


@pytest.fixture
def room(pipeline: Pipeline, valkey: EmbeddedValkey) -> Iterator[ControlRoom]:
    """The pipeline, an action API, and a Grafana that stands in; bodies are sealed."""
    with control_room(pipeline, valkey) as made:
        yield made


@pytest.fixture
def unsealed_room(pipeline: Pipeline, valkey: EmbeddedValkey) -> Iterator[ControlRoom]:
    """The same, of a deployment without keys."""
    with control_room(pipeline, valkey, sealed=False) as made:
        yield made
