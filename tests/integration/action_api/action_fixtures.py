"""The pipeline with the action API's working parts, as fixtures; used through ``pytest_plugins``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.key_files import PRIVATE_FILE, PSK_FILE, PUBLIC_FILE, generate
from tests.acceptance.pipeline import Pipeline, prepared
from tests.integration.action_api.acting import Acting, orders


@pytest.fixture
def pipeline(
    postgres: EmbeddedPostgres, database: str, valkey: EmbeddedValkey, tmp_path: Path
) -> Iterator[Pipeline]:
    """A migrated database with a sink in front of it, on Valkey; workers are the test's own."""
    with prepared(postgres, database, valkey.url, tmp_path / "pipeline") as made:
        yield made


@pytest.fixture
def acting(pipeline: Pipeline) -> Acting:
    """The action API beside the pipeline; nothing is sealed."""
    return Acting(pipeline, orders(pipeline.broker_url, result_backend=pipeline.broker_url))


@pytest.fixture
def sealing(acting: Acting, tmp_path: Path) -> Acting:
    """The same, with seal keys at shipper and action API."""
    keys = tmp_path / "keys"
    generate(keys)
    acting.pipeline.shipper_settings.update(
        CELERYTRAIL_SEAL_PUBLIC_KEY_FILE=str(keys / PUBLIC_FILE),
        CELERYTRAIL_SEAL_PSK_FILE=str(keys / PSK_FILE),
    )
    return acting.with_settings(
        seal_private_key_files=(keys / PRIVATE_FILE,),
        seal_psk_file=keys / PSK_FILE,
        allow_plain=False,
    )
