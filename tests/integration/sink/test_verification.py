"""The verification that a sink keeps: it runs, is started again, tells the metrics, and ends with the sink."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql import head_file
from celerytrail.sql.checkpoint.key_file import PRIVATE_FILE, PUBLIC_FILE, write_key
from celerytrail.sql.checkpoint.note_keys import new_key
from tests.chain.chained_ledger import TRIGGERS_BACK, TRIGGERS_OFF
from tests.otlp_requests import span, traces
from tests.processes import mentioning
from tests.sink_process import SinkProcess
from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    from tests.sink_fixtures import SinkDatabase

pytest_plugins = ["tests.sink_fixtures"]


@pytest.fixture
def verifying(
    postgres: EmbeddedPostgres,
    database: str,
    sink_database: SinkDatabase,
    make_sink: Callable[..., SinkProcess],
    tmp_path: Path,
) -> SinkProcess:
    """A running sink of two workers that verifies every second."""
    sink = make_sink(
        sink_database,
        CELERYTRAIL_SINK_WORKERS="2",
        CELERYTRAIL_VERIFY_DSN=postgres.dsn(database, "celerytrail_verifier"),
        CELERYTRAIL_VERIFY_SECONDS="1",
        CELERYTRAIL_VERIFY_HEADS=str(tmp_path / "heads.json"),
    )
    sink.start()
    return sink


def daemons(database: str) -> list[int]:
    """The processes of `celerytrail verify` for a database, without their keepers."""
    return [pid for pid, command in mentioning(database).items() if "verify --json" in command]


def keepers(database: str) -> list[int]:
    return [pid for pid, command in mentioning(database).items() if "_keeper" in command]


def post(sink: SinkProcess) -> None:
    assert sink.post(traces([span(1)], uuid.uuid4())).status == 200


def test_what_was_verified_is_told_and_a_dead_verification_starts_again(
    verifying: SinkProcess, database: str, tmp_path: Path
) -> None:
    for n in (1, 2):
        post(verifying)
        wait_until(lambda: verifying.metric("verified_n", chain="0") == n, f"{n} is verified")  # noqa: B023
    assert verifying.metric("verification_broken") == 0
    assert 0 < verifying.metric("verification_age_seconds") < DEADLINE_SECONDS
    kept = head_file.read(tmp_path / "heads.json").of(0)
    assert kept is not None
    assert kept.n == 2

    (daemon,) = daemons(database)
    os.kill(daemon, signal.SIGKILL)
    post(verifying)
    wait_until(lambda: verifying.metric("verified_n", chain="0") == 3, "it is verified again")
    assert daemon not in daemons(database)
    assert "the verification ended with code -9; it is started again" in verifying.output

    assert verifying.stop() == 0
    wait_until(lambda: not mentioning(database), "nothing of it is left")
    assert "Traceback" not in verifying.output


def test_a_broken_ledger_stays_broken_until_a_full_run_finds_it_in_order(
    verifying: SinkProcess, sink_database: SinkDatabase
) -> None:
    post(verifying)
    wait_until(lambda: verifying.metric("verified_n", chain="0") == 1, "it is verified")
    with psycopg.connect(sink_database.admin) as connection:
        connection.execute(TRIGGERS_OFF)
        connection.execute("UPDATE celerytrail.chain_head SET hash = sha256('x')")
        connection.execute(TRIGGERS_BACK)
    wait_until(lambda: verifying.metric("verification_broken") == 1, "it is told")
    with psycopg.connect(sink_database.admin) as connection:
        connection.execute(TRIGGERS_OFF)
        connection.execute(
            "UPDATE celerytrail.chain_head h SET hash = c.hash FROM celerytrail.chain c WHERE c.n = 1"
        )
        connection.execute(TRIGGERS_BACK)
    post(verifying)
    wait_until(lambda: verifying.metric("verified_n", chain="0") == 2, "the rest is verified")
    assert verifying.metric("verification_broken") == 1


def test_a_sink_that_is_killed_takes_its_verification_along(
    verifying: SinkProcess, database: str
) -> None:
    wait_until(lambda: daemons(database), "the verification runs")
    assert verifying.process is not None
    verifying.process.kill()
    verifying.process.wait()
    wait_until(lambda: not mentioning(database), "nothing of it is left")


def test_a_verification_without_its_keeper_ends(verifying: SinkProcess, database: str) -> None:
    post(verifying)
    wait_until(lambda: verifying.metric("verified_n", chain="0") == 1, "it is verified")
    (keeper,) = keepers(database)
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not daemons(database), "it ends")
    post(verifying)
    assert verifying.metric("verification_age_seconds") > 0
    assert verifying.stop() == 0


def test_what_was_signed_is_compared_with_and_told(
    postgres: EmbeddedPostgres,
    database: str,
    sink_database: SinkDatabase,
    make_sink: Callable[..., SinkProcess],
    tmp_path: Path,
) -> None:
    write_key(tmp_path / "key", new_key("key"))
    file = tmp_path / "checkpoints.jsonl"
    sink = make_sink(
        sink_database,
        CELERYTRAIL_VERIFY_DSN=postgres.dsn(database, "celerytrail_verifier"),
        CELERYTRAIL_VERIFY_SECONDS="1",
        CELERYTRAIL_VERIFY_CHECKPOINT=str(file),
        CELERYTRAIL_VERIFY_PUBKEY=str(tmp_path / "key" / PUBLIC_FILE),
    )
    sink.start()
    post(sink)
    wait_until(lambda: sink.metric("verified_n", chain="0") == 1, "it is verified")
    assert sink.metric("verification_anchored") == 0
    wait_until(lambda: f"cannot read the checkpoint file {file}" in sink.output, "it is told")
    signed = subprocess.run(
        [sys.executable, "-m", "celerytrail.exporter.cli", "checkpoint", "--begin", "--once", "--allow-one",
         "--key", str(tmp_path / "key" / PRIVATE_FILE), "--file", str(file)],
        env={**os.environ, "CELERYTRAIL_DSN": postgres.dsn(database, "celerytrail_checkpointer")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    wait_until(lambda: sink.metric("verification_anchored") == 1, "it is compared")
    assert sink.metric("verification_broken") == 0


def test_without_a_dsn_nothing_is_verified_and_nothing_told(sink: SinkProcess) -> None:
    assert "verif" not in sink.request("GET", "/metrics").body.decode()
