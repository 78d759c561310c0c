"""Control groups: what a service manager keeps the processes of a service in."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import kill
from tests.waiting import wait_until


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """One group of version 2."""

    directory: Path

    def enter(self) -> list[str]:
        """Return what is put before a command so that it runs in the group."""
        return ["sh", "-c", f'echo $$ > "{self.directory}/cgroup.procs" && exec "$@"', "sh"]

    def pids(self) -> list[int]:
        return [int(pid) for pid in (self.directory / "cgroup.procs").read_text().split()]

    def kill(self) -> None:
        """SIGKILL everything in it at once, as a service manager does, and wait until it is empty."""
        at_once = self.directory / "cgroup.kill"
        if at_once.exists():
            at_once.write_text("1")
        else:  # before Linux 5.14
            kill(self.pids())
        wait_until(lambda: not self.pids(), "the group is empty")


@contextmanager
def control_group() -> Iterator[ControlGroup]:
    """Make a group below that of this process; what is left in it is killed at the end."""
    group = ControlGroup(_own_group() / f"celerytrail-{uuid.uuid4().hex[:8]}")
    try:
        group.directory.mkdir()
    except OSError as exc:
        pytest.skip(f"this machine makes no control groups: {exc.strerror}")
    try:
        yield group
    finally:
        group.kill()
        # The kernel lets go of a group a moment after its last process.
        wait_until(lambda: _removed(group.directory), "the group can be removed")


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError:
        return False
    return True


def _own_group() -> Path:
    inside = next(
        (
            line[3:].strip()
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        ),
        "/",
    )
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where) / inside.lstrip("/")
    pytest.skip("this machine makes no control groups: no hierarchy of version 2")
