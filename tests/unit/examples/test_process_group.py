"""What a process leaves behind in its group is ended; nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celerytrail.examples.embedded.process_group import end_rest, living
from celerytrail.examples.embedded.server_process import ServerProcess
from tests.processes import alive
from tests.waiting import wait_until

PARENT = """
import os, signal, sys, time
child = os.fork()
if child:
    open(sys.argv[1], "w").write(f"{os.getpid()} {child}\\n")
elif sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""


@contextmanager
def family(directory: Path, kind: str = "mild") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process in a group of its own, and the pid of its child."""
    told = directory / "pids"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(told), kind], start_new_session=True
    )
    try:
        wait_until(lambda: told.exists() and told.read_text().endswith("\n"), "the child runs")
        child = int(told.read_text().split()[1])
        yield parent, child
    finally:
        parent.kill()
        parent.wait()
        if alive(child):
            os.kill(child, signal.SIGKILL)


def test_a_group_is_named_by_its_living(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, child):
        assert sorted(living(parent.pid)) == sorted([parent.pid, child])
        parent.kill()
        wait_until(lambda: not alive(parent.pid), "the parent has ended")
        assert living(parent.pid) == [child]  # the parent waits to be reaped


def test_what_a_killed_process_leaves_is_killed(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, child):
        parent.kill()
        parent.wait()
        assert end_rest(parent.pid, 0.0) == 1
        assert not alive(child)
        assert living(parent.pid) == []


def test_what_ends_by_itself_is_waited_for(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, child):
        parent.kill()
        parent.wait()
        os.kill(child, signal.SIGTERM)
        assert end_rest(parent.pid, 60.0) == 0
        assert not alive(child)


def test_an_empty_group_costs_no_grace(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, child):
        parent.kill()
        parent.wait()
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not alive(child), "the child has ended")
        began = time.monotonic()
        assert end_rest(parent.pid, 600.0) == 0
        assert time.monotonic() - began < 300


def test_a_server_is_stopped_with_its_children(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    server = ServerProcess(
        name="parent",
        command=[sys.executable, "-c", PARENT, str(told), "stubborn"],
        log=tmp_path / "log",
        stop_signals=(signal.SIGTERM,),
    )
    server.start(lambda: told.exists() and told.read_text().endswith("\n"), 60)
    child = int(told.read_text().split()[1])
    assert alive(child)
    # It has not told its child: SIGTERM ends the parent alone.
    assert server.stop(60) == -signal.SIGTERM
    assert not alive(child)
