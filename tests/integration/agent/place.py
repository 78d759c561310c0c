"""A worker of the app in this folder, its broker, and the spool they share."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.spool_segments import read_segments
from tests.waiting import DEADLINE_SECONDS, wait_until

HERE = Path(__file__).parent


class Place:
    """A worker of the app, its broker, and the spool they share."""

    def __init__(self, python: str, folder: Path, broker: EmbeddedValkey) -> None:
        self.python = python
        self.folder = folder
        self.spool = folder / "spool"
        self.port = broker.port
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))},
            "BROKER_URL": broker.url,
            "PYTHONPATH": str(HERE),
            "CELERYTRAIL_SPOOL_DIR": str(self.spool),
            "CELERYTRAIL_SHIPPER": "off",
            "CELERYTRAIL_SERVICE": "recorded",
        }
        self.log = folder / "worker.log"

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self.start_celery("worker", "-c", "2", "-l", "INFO")

    def start_celery(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [self.python, "-m", "celery", "-A", "recorded_app", *arguments],
                env=self.environ,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def publish(self, how: str) -> Any:
        return self.run("publish_everything.py", how)

    def run(self, script: str, *arguments: str) -> Any:
        """Run a script of this folder to its end, and return what its last line says as JSON."""
        done = subprocess.run(
            [self.python, str(HERE / script), *arguments],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def steps(self) -> list[str]:
        if not self.spool.exists():
            return []
        return [one.step.name for segment in read_segments(self.spool) for one in segment.records]

    def wait_ready(self) -> None:
        wait_until(lambda: "worker_ready" in self.steps(), "the worker")


def end(process: subprocess.Popen[bytes], how: int) -> None:
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def child_processes(parent: int, port: int, size: int) -> list[dict[str, Any]]:
    """Look at the pool's ``size`` children in /proc: their threads, their connections elsewhere.

    A child that ended has no open files until the worker collects it, and no successor either.
    So this waits until all of them are alive while they are looked at.
    """

    def look() -> list[dict[str, Any]]:
        try:
            seen = [threads_and_connections(child, port) for child in children_of(parent)]
        except (FileNotFoundError, ProcessLookupError):
            return []
        return seen if len(seen) == size else []

    return wait_until(look, f"{size} living children")


def children_of(parent: int) -> list[int]:
    """Return the pids of the children of a process."""
    return [*map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]


def threads_and_connections(pid: int, port: int) -> dict[str, Any]:
    """Count the threads of a process in /proc, and list its connections to any other port."""
    process = Path("/proc") / str(pid)
    inodes = set()
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed just now
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    elsewhere = []
    for table in ("net/tcp", "net/tcp6", "net/udp"):
        for line in (process / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and int(fields[2].rpartition(":")[2], 16) != port:
                elsewhere.append(line)
    return {"threads": len(list((process / "task").iterdir())), "elsewhere": elsewhere}
