"""Namespaces of the kernel: what containers are made of, without an engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.pipeline import Pipeline, Program
from tests.waiting import wait_until

INIT = Path(__file__).parent / "container_init.py"
BETWEEN = "--and--"


def unshare(*flags: str) -> list[str]:
    """Return the command that makes namespaces, for root and for others; skips where none can."""
    command = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), *flags]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this machine makes no namespaces: {tried.stderr.strip()[:100]}")
    return command


@dataclass(slots=True)
class Container:
    """Processes in a PID namespace of their own. ``pid_1`` is their first one, seen from outside."""

    program: Program
    pid_1: int

    def log(self) -> str:
        return self.program.log.read_text(errors="replace")

    def pids(self) -> list[int]:
        """Return all of its processes, as this namespace numbers them."""
        inside = os.readlink(f"/proc/{self.pid_1}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "ns/pid") == inside:
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def end(self, signum: int) -> int:
        """Send a signal to PID 1 and wait until nothing of the container is left."""
        os.kill(self.pid_1, signum)
        return self.program.process.wait(90)


@contextmanager
def container(
    pipeline: Pipeline, name: str, *commands: Sequence[str], environ: Mapping[str, str]
) -> Iterator[Container]:
    """Run some commands in one container; whatever is left of it is killed at the end."""
    arguments: list[str] = []
    for command in commands:
        arguments += [*([BETWEEN] if arguments else []), *command]
    made = pipeline.start(
        name,
        [*unshare("--pid", "--fork", "--kill-child", "--mount-proc"), sys.executable, str(INIT), *arguments],
        environ,
    )  # fmt: skip
    children = Path(f"/proc/{made.pid}/task/{made.pid}/children")
    (pid_1,) = wait_until(lambda: children.read_text().split(), "PID 1 runs")
    try:
        yield Container(made, int(pid_1))
    finally:
        if made.alive():
            os.kill(int(pid_1), signal.SIGKILL)
        made.process.wait(60)
