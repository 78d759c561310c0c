"""What `celerytrail doctor` prints and exits with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from celerytrail.examples.embedded.ports import free_port
from celerytrail.sql.doctor.examination import CHECKS
from celerytrail.sql.doctor_command import doctor

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]


def test_the_command_prints_lines_or_json_and_exits_by_what_is_worst(
    migrated: MigratedDatabase,
) -> None:
    shown = CliRunner().invoke(doctor, ["--dsn", migrated.dsn("verifier")])
    assert shown.exit_code == 1
    lines = shown.output.splitlines()
    assert (
        "fail   durability: fsync is off: a crash may lose or damage what was acknowledged" in lines
    )
    assert lines[-1].startswith(f"{len(CHECKS)} checks: 1 fail, 0 warn, 1 unseen, ")
    assert migrated.dsn("verifier").split(":")[2].split("@")[0] not in shown.output
    told = CliRunner().invoke(doctor, ["--dsn", migrated.dsn("verifier"), "--json"])
    said = json.loads(told.output)
    assert (said["exit_code"], said["findings"][0]["level"]) == (1, "ok")
    assert {one["check"] for one in said["findings"]} == {row.name for row in CHECKS}


def test_a_database_that_is_away_has_an_exit_code_of_its_own() -> None:
    dsn = f"postgresql://celerytrail_sink:hunter2@127.0.0.1:{free_port()}/x"
    for options in ([], ["--json"]):
        done = CliRunner().invoke(doctor, ["--dsn", dsn, *options])
        assert done.exit_code == 4
        assert "cannot connect to celerytrail_sink@127.0.0.1" in done.output
        assert "hunter2" not in done.output
