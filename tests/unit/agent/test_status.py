from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from click.testing import CliRunner

from celerytrail.exporter.agent.command import trail
from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.status import Status, duration, read_status, status_lines
from celerytrail.exporter.spool.election import LOCK_FILE, ShipperLock
from tests.unit.agent.conftest import Recorded


def status_of(folder: Path, **environ: str) -> Status:
    settings = {"CELERYTRAIL_SPOOL_DIR": str(folder / "spool"), **environ}
    return read_status(AgentConfig.from_env(settings), "shop", settings)


def shown(status: Status) -> dict[str, str]:
    return {line.partition(":")[0]: line.partition(":")[2].strip() for line in status_lines(status)}


def test_what_is_set_is_shown(tmp_path: Path) -> None:
    rows = shown(
        status_of(
            tmp_path,
            CELERYTRAIL_NAMESPACE="acme",
            CELERYTRAIL_SERVICE="orders",
            CELERYTRAIL_ENDPOINT="http://sink:4318/hush",
            CELERYTRAIL_TOKEN="hush",
            CELERYTRAIL_CAPTURE_RESULT="1",
            CELERYTRAIL_SEAL_PUBLIC_KEY_FILE="/k",
            CELERYTRAIL_SEAL_PSK_FILE="/p",
        )
    )
    assert "hush" not in str(rows)
    assert rows == {
        "recording": "yes",
        "app": "shop",
        "namespace": "acme",
        "service": "orders",
        "environment": "-",
        "endpoint": "http://sink:4318",
        "token": "set",
        "sealing": "on",
        "results": "recorded",
        "spool": str(tmp_path / "spool"),
        "segments": "0 (0 of 1073741824 bytes)",
        "waiting": "nothing",
        "shipper": "not running: the next worker or publisher that records starts it",
    }
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "not set"),
        ({"CELERYTRAIL_TOKEN_FILE": "/t"}, "in file /t"),
        ({"CELERYTRAIL_TOKEN": "hush", "CELERYTRAIL_TOKEN_FILE": "/t"}, "refuses both"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=hush"}, "in OTEL_EXPORTER_OTLP_HEADERS"),
    ],
)
def test_where_the_token_is_is_shown(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    token = shown(status_of(tmp_path, **environ))["token"]
    assert words in token
    assert "hush" not in token


def test_why_it_does_not_record_is_shown(tmp_path: Path) -> None:
    disabled = status_of(tmp_path, CELERYTRAIL_DISABLED="1")
    assert not disabled.recording
    assert shown(disabled)["recording"] == "no: CELERYTRAIL_DISABLED is set"
    (tmp_path / "real").mkdir()
    (tmp_path / "spool").symlink_to(tmp_path / "real")
    assert "is a symbolic link" in shown(status_of(tmp_path))["recording"]


def test_what_waits_is_shown_with_its_age(recorded: Recorded, app: Celery) -> None:
    app.tasks["add"].delay(1, 2)
    found = read_status(recorded.config, "unit", {})
    assert found.segments == 1
    assert 0 < found.waiting_bytes < found.bytes
    assert found.oldest_waiting_seconds is not None
    assert found.oldest_waiting_seconds >= 0
    assert f"{found.waiting_bytes} bytes, the oldest for " in shown(found)["waiting"]


def test_a_shipper_that_runs_is_named(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "shipper.log").write_text("it ships\n")
    lock = ShipperLock(tmp_path / "spool")
    assert lock.acquire()
    try:
        (tmp_path / "spool" / LOCK_FILE).write_text(f"process {os.getpid()} on box\n")
        rows = shown(status_of(tmp_path))
        assert rows["shipper"] == f"running (process {os.getpid()} on box)"
        assert "it ships" not in str(rows)
    finally:
        lock.release()
    assert "box" not in shown(status_of(tmp_path))["shipper"]


def test_the_log_of_a_shipper_that_does_not_run_is_shown(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    log = tmp_path / "spool" / "shipper.log"
    log.write_text("".join(f"line {n}\n" for n in range(9)) + "\x1b[31mred\n\n")
    found = status_of(tmp_path, CELERYTRAIL_SHIPPER="off")
    assert "celerytrail ship has to run" in shown(found)["shipper"]
    assert found.shipper_log == ("line 5", "line 6", "line 7", "line 8", " [31mred")
    assert status_lines(found)[-1] == "   [31mred"
    log.write_text("x" * 100_000)
    assert status_of(tmp_path).shipper_log == ("x" * 300,)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h"), (129_600, "1.5 d")],
)
def test_a_duration_is_in_the_largest_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    for name in [name for name in os.environ if name.startswith(("CELERYTRAIL_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CELERYTRAIL_SPOOL_DIR", str(tmp_path / "spool"))

    def invoke(*arguments: str, **environ: str) -> Any:
        return CliRunner().invoke(trail, arguments, env=environ)

    return invoke


def test_status_speaks_json(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("status", "--json")
    assert done.exit_code == 0
    found = json.loads(done.output)
    assert found["recording"] is True
    assert found["app"] == ""
    assert found["spool"] == str(tmp_path / "spool")
    assert set(found) == set(Status.__dataclass_fields__)


def test_a_setting_that_makes_no_sense_is_said_by_both(run: Callable[..., Any]) -> None:
    wrong = {"CELERYTRAIL_SPOOL_MAX_BYTES": "much"}
    for command in ("status", "doctor"):
        text, as_json = run(command, **wrong), run(command, "--json", **wrong)
        assert (text.exit_code, as_json.exit_code) == (1, 1)
        assert "CELERYTRAIL_SPOOL_MAX_BYTES='much'" in text.output
        assert "CELERYTRAIL_SPOOL_MAX_BYTES='much'" in str(json.loads(as_json.output))
