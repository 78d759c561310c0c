"""`celerytrail verify` as people and schedulers run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql import head_file
from celerytrail.sql.verify_command import verify
from tests.chain.chained_ledger import ChainedLedger, write_batch
from tests.chain.test_kept_heads import CUT

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

DEADLINE_SECONDS = 60
COMMAND = [sys.executable, "-m", "celerytrail.exporter.cli", "verify"]


def run(chained: ChainedLedger, *arguments: str | Path) -> Result:
    dsn = chained.database.dsn("verifier")
    return CliRunner().invoke(verify, ["--dsn", dsn, *map(str, arguments)])


def said(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_exit_codes_and_words_of_a_ledger_from_its_first_head_to_its_end(
    chained: ChainedLedger, ledger: Ledger, tmp_path: Path
):
    kept = tmp_path / "heads.json"
    first = run(chained, "--head-out", kept)
    assert (first.exit_code, first.stdout.splitlines()[-1][:25]) == (3, "INTERNAL CONSISTENCY ONLY")
    assert "21 rows in 6 blocks" in first.stdout
    assert head_file.read(kept).of(0).n == 6
    write_batch(ledger, chained.database, 21)

    against = run(chained, "--against", kept)
    assert (against.exit_code, against.stdout.splitlines()[-1][:5]) == (0, "CLEAN")
    since = said(run(chained, "--since", kept, "--json", "--jobs", "2"))
    assert (since["verdict"], since["mode"], since["exit_code"]) == ("ok", "incremental", 0)
    assert [way["rows"] for way in since["ways"]] == [4, 4]

    row = chained.row(2, 2)
    chained.tamper(f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id = '{row}'")
    broken = run(chained, "--against", kept)
    assert (broken.exit_code, broken.stdout.splitlines()[-1][:6]) == (1, "BROKEN")
    assert f"row altered: block 2, batch 2, day {chained.verify().bad[0].day}, row 2, id {row}" in (
        broken.stdout
    )
    found = said(run(chained, "--json"))["first_bad"]
    assert (found["fault"], found["n"], found["row_id"]) == ("row altered", 2, row)


def test_progress_is_shown_where_it_is_wanted_and_json_stays_alone(chained: ChainedLedger):
    shown = run(chained, "--progress", "--read-model", "--json")
    assert said(shown)["verdict"] == "internal"
    lines = shown.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["sql", "outside", "read model"]
    assert "21 of 21 rows, 100 %" in lines[0]
    assert "slices, 100 %" in lines[2]
    assert run(chained).stderr == run(chained, "--no-progress").stderr == ""


def test_a_cut_tail(chained: ChainedLedger, tmp_path: Path):
    kept = tmp_path / "heads.json"
    assert run(chained, "--head-out", kept).exit_code == 3
    chained.tamper(CUT)
    assert run(chained).exit_code == 3
    assert run(chained, "--since", kept).exit_code == 1
    assert run(chained, "--against", kept, "--head-out", kept).exit_code == 1
    assert head_file.read(kept).of(0).n == 6


@pytest.mark.parametrize("way", ["sql", "outside"])
def test_one_way_alone(chained: ChainedLedger, way: str):
    found = said(run(chained, "--way", way, "--json", "--chain", "0"))
    assert [one["way"] for one in found["ways"]] == [way]
    assert found["ways"][0]["heads"][0]["n"] == 6


def test_changed_guards_are_broken_although_every_hash_is_right(chained: ChainedLedger):
    chained.database.run("DROP TRIGGER seal ON celerytrail.spans")
    found = run(chained)
    assert found.exit_code == 1
    assert "missing trigger seal on celerytrail.spans" in found.stdout
    assert "every hash is right" in found.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [["--since", "a", "--against", "b"], ["--way", "up"], ["--jobs", "0"], ["--every", "0"]],
)
def test_wrong_usage(arguments: list[str]):
    assert CliRunner().invoke(verify, ["--dsn", "dbname=x", *arguments]).exit_code == 2


def test_no_dsn_is_wrong_usage():
    assert CliRunner().invoke(verify, [], env={"CELERYTRAIL_DSN": ""}).exit_code == 2


@pytest.mark.parametrize(
    ("dsn", "text"),
    [
        ("postgresql://u:geheim@127.0.0.1:1/x", "127.0.0.1:1/x"),
        ("postgresql//u:geheim@127.0.0.1:1/x", "DSN"),
        ("postgresql://u:geh@eim@127.0.0.1:1/x", "DSN"),
    ],
)
def test_an_address_that_does_not_work_says_so_without_its_password(dsn: str, text: str):
    for more in ([], ["--json"]):
        result = CliRunner().invoke(verify, ["--dsn", dsn, *more])
        assert result.exit_code == 4
        assert text in result.output
        assert "geh" not in result.output


def test_a_database_without_a_ledger(database: str, postgres: Any):
    result = CliRunner().invoke(verify, ["--dsn", postgres.dsn(database)])
    assert (result.exit_code, "there is no ledger" in result.output) == (4, True)


def test_a_role_without_the_right_to_read(chained: ChainedLedger):
    dsn = chained.database.dsn("grafana")
    result = CliRunner().invoke(verify, ["--dsn", dsn])
    assert (result.exit_code, "celerytrail_verifier" in result.output) == (4, True)


@pytest.mark.parametrize("text", [None, "", "[]", '{"chains": []}', '{"chains": 1'])
def test_a_head_file_that_is_none(chained: ChainedLedger, tmp_path: Path, text: str | None):
    file = tmp_path / "heads.json"
    if text is not None:
        file.write_text(text)
    result = run(chained, "--against", file)
    assert (result.exit_code, str(file) in result.output) == (4, True)


def test_a_head_file_that_cannot_be_written(chained: ChainedLedger, tmp_path: Path):
    result = run(chained, "--head-out", tmp_path / "missing" / "heads.json")
    assert (result.exit_code, "cannot write the head file" in result.output) == (4, True)


@contextmanager
def daemon(dsn: str, directory: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=out,
            stderr=err,
            env={**os.environ, "CELERYTRAIL_DSN": dsn, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_daemon_records_what_it_finds_through_an_outage_until_it_is_stopped(
    chained: ChainedLedger, migrated: MigratedDatabase, ledger: Ledger, tmp_path: Path
):
    def count(condition: str = "true") -> int:
        view = "celerytrail_views.verifications"
        found: int = migrated.value(f"SELECT count(*) FROM {view} WHERE {condition}")
        return found

    kept = tmp_path / "heads.json"
    # Six seconds: on a busy machine a full pass takes one or two, and has to leave time for others.
    arguments = ["--every", "0.1", "--full-every", "0.1", "--head-out", str(kept)]
    with daemon(migrated.dsn("verifier"), tmp_path, *arguments) as process:
        eventually(lambda: count("mode = 'full' AND to_n = 6 AND status = 'internal'") > 1)
        eventually(lambda: count("mode = 'incremental' AND from_n = 6 AND fingerprint_ok") > 1)
        write_batch(ledger, migrated, 21)
        eventually(lambda: count("to_n = 7") > 0)

        with psycopg.connect(migrated.server.dsn(), autocommit=True) as server:
            server.execute(f"ALTER DATABASE {migrated.name} ALLOW_CONNECTIONS false")
            eventually(lambda: b"trying again" in (tmp_path / "err").read_bytes())
            server.execute(f"ALTER DATABASE {migrated.name} ALLOW_CONNECTIONS true")
        seen = count()
        eventually(lambda: count() > seen)

        row = chained.row(7, 1)
        with chained.restored_afterwards():
            chained.tamper(f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id = '{row}'")
            eventually(lambda: count(f"status = 'broken' AND first_bad ->> 'row_id' = '{row}'") > 0)
        seen = count("status = 'internal'")
        eventually(lambda: count("status = 'internal'") > seen)
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0
    assert head_file.read(kept).of(0).n == 7
    assert b"Traceback" not in (tmp_path / "err").read_bytes()
    assert b"row altered" in (tmp_path / "out").read_bytes()


def test_a_daemon_with_a_kept_head_finds_the_rewrite_of_what_it_has_read(
    chained: ChainedLedger, migrated: MigratedDatabase, tmp_path: Path
):
    kept = tmp_path / "heads.json"
    assert run(chained, "--head-out", kept).exit_code == 3
    dsn = migrated.dsn("verifier")
    with daemon(dsn, tmp_path, "--every", "0.1", "--against", str(kept), "--json") as process:
        status = (
            "SELECT status FROM celerytrail_views.verifications ORDER BY verified_at DESC LIMIT 1"
        )
        eventually(lambda: migrated.rows(status) == [("ok",)])
        chained.tamper(CUT)
        eventually(lambda: migrated.rows(status) == [("broken",)])
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert (lines[0]["verdict"], lines[-1]["verdict"]) == ("ok", "broken")
