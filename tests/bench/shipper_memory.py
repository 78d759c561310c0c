"""The shipper's memory while it drains what an outage left behind.

``python -m tests.bench.shipper_memory [--records N] [--processes N] [--json]``. Several processes let the real agent
write the spool; then one shipper delivers it to a receiver, and the peak of its resident memory
(VmHWM) is read as the spool shrinks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.spool.cursor import Cursor
from tests.bench.receiver_process import receiver
from tests.bench.shipper_cost import RECORDS_A_TASK, TWO, write_spool
from tests.processes import exit_on_sigterm

ROOT = Path(__file__).parents[2]
DRAIN_SECONDS = 1800.0
STEPS = 10


@dataclass(frozen=True, slots=True)
class Drain:
    """Peak of resident memory in bytes, by the tenth of the spool that was delivered: 1 to 10."""

    records: int
    spool_bytes: int
    seconds: float
    peaks: dict[int, int]

    def growth(self, since: int = 2) -> int:
        """Return by how much the peak rose from one tenth to the end."""
        return self.peaks[STEPS] - self.peaks[since]


def fill(spool: Path, records: int, processes: int) -> None:
    """Let ``processes`` publishers write about so many records into a spool, a stream each."""
    tasks = records // RECORDS_A_TASK // processes
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.shipper_memory", "--fill", str(spool), str(tasks)],
            cwd=ROOT,
        )
        for _ in range(processes)
    ]
    ends = [writer.wait() for writer in writers]
    assert ends == [0] * processes, ends


def drain(spool: Path, records: int) -> Drain:
    """Ship a spool to a receiver, and watch."""
    whole, peaks, begun = left_in(spool), {}, time.monotonic()
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))}
    with receiver() as url, (spool.parent / "shipper.err").open("wb") as log:
        shipper = subprocess.Popen(
            [sys.executable, "-m", "celerytrail.exporter.shipper", "--spool", str(spool)],
            env={**environ, "CELERYTRAIL_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
            stderr=log,
        )
        try:
            while (left := left_in(spool)) > 0:
                assert shipper.poll() is None, (spool.parent / "shipper.err").read_text()
                assert time.monotonic() - begun < DRAIN_SECONDS, f"{left} bytes are still there"
                done = STEPS * (whole - left) // whole
                peak = peak_memory(shipper.pid)
                for step in range(1, done + 1):
                    peaks.setdefault(step, peak)
                time.sleep(0.02)
            peak = peak_memory(shipper.pid)
            for step in range(1, STEPS):
                peaks.setdefault(step, peak)
            peaks[STEPS] = peak
        finally:
            shipper.terminate()
            shipper.wait()
    return Drain(records, whole, time.monotonic() - begun, peaks)


def left_in(spool: Path) -> int:
    """Return the bytes of segments that are not acknowledged yet."""
    left = 0
    for path in spool.glob("*.seg"):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        cursor = Cursor.read(path.with_suffix(".ack"))
        left += size - (cursor.offset if cursor is not None else 0)
    return left


def peak_memory(pid: int) -> int:
    """Return the highest resident memory that a process had so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no resident memory: it ended")


def measure(records: int = 1_000_000, processes: int = 4) -> Drain:
    """Fill a spool and drain it."""
    with tempfile.TemporaryDirectory(prefix="celerytrail-bench-") as folder:
        spool = Path(folder) / "spool"
        fill(spool, records, processes)
        return drain(spool, records)


def report(found: Drain) -> str:
    """Return the peaks in MiB, tenth by tenth."""
    peaks = "  ".join(
        f"{10 * step}% {peak / 2**20:.1f}" for step, peak in sorted(found.peaks.items())
    )
    return (
        f"shipper draining {found.records:,} records ({found.spool_bytes / 2**20:.0f} MiB) in "
        f"{found.seconds:.0f} s; peak of resident memory in MiB\n  {peaks}\n"
        f"  from 20% to the end: {found.growth() / 2**20:+.1f} MiB"
    )


def main() -> None:
    """Measure and print, or write one process's part of the spool."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(description="memory of the shipper after an outage")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fill", nargs=2, metavar=("SPOOL", "TASKS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        write_spool(Path(given.fill[0]), TWO, int(given.fill[1]))
        return
    found = measure(given.records, given.processes)
    if given.json:
        print(
            json.dumps({"records": found.records, "seconds": found.seconds, "peaks": found.peaks})
        )
    else:
        print(report(found))


if __name__ == "__main__":
    main()
