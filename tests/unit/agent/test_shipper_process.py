from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import pytest

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.guard import Guard
from celerytrail.exporter.agent.shipper_process import CHECK_NANOSECONDS, ShipperProcess

AUTO = "opentelemetry/instrumentation/auto_instrumentation"


def started(process: ShipperProcess) -> int:
    """The pid of the shipper that this process started last."""
    assert process._started is not None
    return process._started.pid


def ended(process: ShipperProcess) -> None:
    assert process._started is not None
    os.waitid(os.P_PID, process._started.pid, os.WEXITED | os.WNOWAIT)


def test_a_shipper_that_cannot_begin_is_started_less_and_less_often_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CELERYTRAIL_DRAIN_SECONDS", "no number")
    config = AgentConfig.from_env(spool_dir=tmp_path / "spool")
    process = ShipperProcess(config, Guard())
    with caplog.at_level(logging.WARNING, "celerytrail"):
        process.ensure(1)
        ended(process)
        process.ensure(1 + CHECK_NANOSECONDS)
        assert process._started is None
        process.ensure(1 + 2 * CHECK_NANOSECONDS)
        assert process._started is None
        process.ensure(1 + 3 * CHECK_NANOSECONDS)
        assert started(process)
        ended(process)
    process.let_go()
    assert "shipper.log" in caplog.text
    assert "CELERYTRAIL_DRAIN_SECONDS" in (tmp_path / "spool" / "shipper.log").read_text()


def test_a_killed_shipper_is_replaced_at_the_next_look(tmp_path: Path) -> None:
    config = AgentConfig.from_env(spool_dir=tmp_path / "spool")
    process = ShipperProcess(config, Guard())
    process.ensure(1)
    first = started(process)
    os.kill(first, signal.SIGKILL)
    ended(process)
    process.ensure(1 + CHECK_NANOSECONDS)
    second = started(process)
    assert second != first
    os.kill(second, signal.SIGKILL)
    ended(process)
    process.ensure(1 + CHECK_NANOSECONDS)  # too early for another look
    process.let_go()


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (f"/site/{AUTO}:/mine", "/mine"),
        (f"/a:/site/{AUTO}:/b", "/a:/b"),
        (f"/site/{AUTO}", ""),
        ("/mine:/auto_instrumentation", "/mine:/auto_instrumentation"),
    ],
)
def test_the_shipper_is_not_instrumented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, left: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", given)
    config = AgentConfig.from_env(spool_dir=tmp_path)
    assert ShipperProcess(config, Guard())._environment()["PYTHONPATH"] == left


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("http://user:hunter2@sink:4318/x?token=hunter2", "http://sink:4318"),
        ("https://sink", "https://sink"),
        ("http://sink:hunter2", "(not a URL)"),
    ],
)
def test_only_the_host_of_the_endpoint_is_shown(tmp_path: Path, endpoint: str, shown: str) -> None:
    config = AgentConfig.from_env({}, endpoint=endpoint, spool_dir=tmp_path)
    assert config.shown_endpoint == shown
