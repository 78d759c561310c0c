"""Shippers as processes, for the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SHIP = [sys.executable, "-c", "from celerytrail.exporter.cli import main; main()", "ship"]
MODULE = [sys.executable, "-m", "celerytrail.exporter.shipper"]


def environ(endpoint: str, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))}
    return {**kept, "CELERYTRAIL_ENDPOINT": endpoint, **more}


def ship_once(
    spool: Path, endpoint: str, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run ``celerytrail ship --once`` to its end."""
    return subprocess.run(
        [*SHIP, "--once", "--spool", str(spool), *arguments],
        env=environ(endpoint, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass(slots=True)
class Running:
    """A shipper that runs beside the test."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def stop(self, signum: int = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return self.process.wait(60)


@contextmanager
def shipping(spool: Path, endpoint: str, *arguments: str, **more: str) -> Iterator[Running]:
    """Run the shipper as a worker starts it; kill it at the end, whatever happened."""
    log = spool.parent / f"shipper-{len(list(spool.parent.glob('shipper-*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*MODULE, "--spool", str(spool), *arguments],
            env=environ(endpoint, **more),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
