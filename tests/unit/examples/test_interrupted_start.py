"""A Ctrl-C while a process is being started: it is raised, and what was started has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celerytrail.examples.embedded.server_process import ServerProcess
from celerytrail.examples.embedded.whole_command import run_to_end
from tests.processes import alive

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The pids of what was started: each start is interrupted before its caller knows of the process."""
    pids: list[int] = []

    class Interrupted(subprocess.Popen[Any]):
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            pids.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    yield pids
    monkeypatch.undo()
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_server_that_was_being_started_has_ended(started: list[int], tmp_path: Path) -> None:
    server = ServerProcess("sleeper", SLEEPER, tmp_path / "log", (signal.SIGTERM,))
    with pytest.raises(KeyboardInterrupt):
        server.start(lambda: True, 60)
    (pid,) = started
    assert not alive(pid)
    assert not server.running


def test_a_command_that_was_being_started_has_ended(started: list[int], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_to_end(SLEEPER, environment=os.environ, directory=tmp_path, timeout_seconds=60)
    (pid,) = started
    assert not alive(pid)


def test_a_command_that_takes_too_long_has_ended_with_its_children(tmp_path: Path) -> None:
    told = tmp_path / "child"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(told)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    seconds = 1.0
    while not told.exists():  # a machine may need longer than that to start two Pythons
        with pytest.raises(subprocess.TimeoutExpired):
            run_to_end(
                (sys.executable, "-c", code),
                environment=os.environ,
                directory=tmp_path,
                timeout_seconds=seconds,
            )
        seconds *= 2
    assert not alive(int(told.read_text()))


def test_what_a_command_said_is_returned(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = run_to_end(
        (sys.executable, "-c", code), environment={}, directory=tmp_path, timeout_seconds=600
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
