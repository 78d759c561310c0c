"""An action API does not start over a ledger whose guards were changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.action_api_process import ActionApiProcess
from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

CONFIG = """
[[deployment]]
namespace = "acme"
service = "shop"
environment = "test"
broker_url = "redis://127.0.0.1:1/0"
"""


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ALTER TABLE celerytrail.actions DISABLE TRIGGER seal", "trigger seal on celerytrail.act"),
        ("DELETE FROM celerytrail.migrations WHERE id = 61", "0061_create_intents"),
    ],
    ids=["guard", "schema"],
)
def test_a_start_over_a_ledger_that_was_changed_is_refused(
    migrated: MigratedDatabase, tmp_path: Path, statement: str, named: str
) -> None:
    migrated.run(statement)
    api = ActionApiProcess(migrated.dsn("actions"), tmp_path, CONFIG)
    try:
        assert api.spawn().wait(DEADLINE_SECONDS) == 1
        assert named in api.output
        assert not (tmp_path / "port").exists()
        assert "Traceback" not in api.output
    finally:
        api.close()


def test_a_start_over_a_ledger_as_designed(migrated: MigratedDatabase, tmp_path: Path) -> None:
    api = ActionApiProcess(migrated.dsn("actions"), tmp_path, CONFIG)
    try:
        api.start()
    finally:
        api.close()
