"""What it costs from end to end: real Valkey, a real prefork worker, tasks that do nothing.

``python -m tests.bench.end_to_end [--tasks N] [--rounds N] [--quick] [--json]``. Each variant has a worker of one
pool child that lives for the whole run. They take turns, in another order each round: N tasks are published
while nobody consumes, then the worker is told to consume, and the CPU time of each process is read before
and after. What is delivered goes to a receiver in another process, which is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from celery import Celery

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.spool.reader import SpoolReader
from tests.bench.process_cpu import children, cpu_seconds, with_argument
from tests.bench.receiver_process import receiver
from tests.processes import exit_on_sigterm
from tests.waiting import wait_until

APPS = Path(__file__).parent / "apps"
PLAIN, OURS, OTHER = "plain", "celerytrail", "other"
_LOOK_SECONDS = 1.3
_IDLE_SHARE = 0.01
VARIANTS: Mapping[str, str] = {
    PLAIN: "plain worker",
    OURS: "celerytrail",
    OTHER: "celerytrail of another checkout",
    "contrib": "opentelemetry-instrumentation-celery, batch processor, OTLP/HTTP",
    "events": "Celery's own events (worker -E, task_send_sent_event)",
}
USUAL = tuple(name for name in VARIANTS if name != OTHER)


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn of one variant: CPU microseconds a task, by process, and tasks a second."""

    publisher: float
    main: float
    child: float
    shipper: float
    rate: float


class Variant:
    """The worker of one variant, idle between its turns."""

    def __init__(
        self,
        name: str,
        broker: str,
        receiver_url: str,
        directory: Path,
        source: Path | None = None,
    ) -> None:
        self.name = name
        self._recorded = name in (OURS, OTHER)
        self.spool = directory / f"spool-{name}"
        self._directory = directory
        self._app = Celery("control", broker=broker, set_as_current=False)
        self._node = f"{name}@bench"
        self._environ = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("CELERYTRAIL_", "OTEL_"))
            },
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, (source, APPS)))),
            "BROKER_URL": broker,
            "BENCH_VARIANT": OURS if self._recorded else name,
            "BENCH_RECEIVER": receiver_url,
            "CELERYTRAIL_DISABLED": "0" if self._recorded else "1",
            "CELERYTRAIL_ENDPOINT": receiver_url,
            "CELERYTRAIL_SPOOL_DIR": str(self.spool),
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_BSP_SCHEDULE_DELAY": "1000",  # what it exports is to be seen soon
        }
        self._log = directory / f"{name}.log"
        with self._log.open("wb") as log:
            self._worker = subprocess.Popen(
                [
                    sys.executable, "-m", "celery", "-A", "measured", "worker", "--loglevel", "WARNING",
                    "--pool", "prefork", "--concurrency", "1", "-n", self._node, "-Q", f"{name}.idle",
                    "--without-mingle", "--without-gossip", *(["-E"] if name == "events" else []),
                ],
                env=self._environ, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Wait until the worker answers, and its shipper runs if it has one."""
        wait_until(lambda: self._app.control.ping([self._node], timeout=1), f"{self.name} answers")
        if self._recorded:
            wait_until(self._delivered, "the shipper has delivered the first records")

    def turn(self, tasks: int) -> Sample:
        """Publish and consume tasks; return what they cost."""
        marks = self._directory / f"marks-{self.name}"
        marks.unlink(missing_ok=True)
        queue = f"{self.name}.work"
        shippers = with_argument(str(self.spool)) if self._recorded else []
        shipped = sum(map(cpu_seconds, shippers))
        published = subprocess.run(
            [sys.executable, str(APPS / "publish_measured.py"), str(tasks), queue, str(marks)],
            env=self._environ, cwd=self._directory, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert published.returncode == 0, published.stderr
        (child,) = children(self._worker.pid)
        before = cpu_seconds(self._worker.pid), cpu_seconds(child)
        self._app.control.add_consumer(queue, destination=[self._node], reply=True)
        wait_until(
            lambda: marks.exists() and len(marks.read_text().splitlines()) == 2,
            f"{self.name} has run its tasks",
        )
        wait_until(lambda: _settled((self._worker.pid, child)), "the worker has nothing left to do")
        main, ran = (
            cpu_seconds(pid) - begun
            for pid, begun in zip((self._worker.pid, child), before, strict=True)
        )
        self._app.control.cancel_consumer(queue, destination=[self._node], reply=True)
        if shippers:
            wait_until(self._delivered, "the shipper has delivered the rest")
            shipped = sum(map(cpu_seconds, shippers)) - shipped
        first, last = map(int, marks.read_text().split())
        each = 1e6 / tasks
        return Sample(
            publisher=float(published.stdout) / 1000,
            main=main * each,
            child=ran * each,
            shipper=shipped * each,
            rate=tasks / (last - first) * 1e9,
        )

    def stop(self) -> None:
        """End the worker, and the shipper it started."""
        self._worker.terminate()
        self._worker.wait(60)
        for pid in with_argument(str(self.spool)):
            os.kill(pid, 15)
            wait_until(lambda pid=pid: cpu_seconds(pid) == 0.0, "the shipper ends")  # type: ignore[misc]

    def _delivered(self) -> bool:
        if not with_argument(str(self.spool)):
            return False
        reader = SpoolReader(self.spool)
        reader.refresh()
        return not reader.is_empty() and reader.everything_acknowledged()


def _settled(pids: Sequence[int]) -> bool:
    """Look for longer than a batch processor waits whether processes do next to nothing."""
    before = sum(map(cpu_seconds, pids))
    time.sleep(_LOOK_SECONDS)
    return sum(map(cpu_seconds, pids)) - before < _IDLE_SHARE * _LOOK_SECONDS


@contextmanager
def variants(names: Sequence[str], directory: Path, other: Path | None) -> Iterator[list[Variant]]:
    """Start the worker of each variant, a broker and a receiver."""
    with receiver() as url, EmbeddedValkey(directory / "valkey") as valkey:
        made = [
            Variant(name, valkey.url, url, directory, other if name == OTHER else None)
            for name in names
        ]
        try:
            for variant in made:
                variant.wait_until_ready()
            yield made
        finally:
            for variant in made:
                variant.stop()


def measure(
    rounds: int = 7, tasks: int = 2000, names: Sequence[str] = USUAL, other: Path | None = None
) -> dict[str, list[Sample]]:
    """Return the samples of each variant, round by round; the first round only warms up.

    ``other`` is a directory with another ``celerytrail`` in it, for the variant ``other``.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="celerytrail-bench-") as folder:
        directory = Path(folder)
        with variants(names, directory, other) as made:
            for number in range(rounds + 1):
                place = number % len(made)
                for variant in made[place:] + made[:place]:
                    sample = variant.turn(tasks if number else max(100, tasks // 10))
                    if number:
                        samples[variant.name].append(sample)
    return samples


def added(samples: Mapping[str, list[Sample]], name: str, part: str) -> float:
    """Return the median of what a variant adds over plain, in the same round."""
    return statistics.median(
        getattr(one, part) - getattr(plain, part)
        for one, plain in zip(samples[name], samples[PLAIN], strict=True)
    )


def report(samples: Mapping[str, list[Sample]]) -> str:
    """Return the table: CPU microseconds a task, what is added over plain, tasks a second."""
    names = "".join(f"{name:>14}" for name in ("publisher", "main", "child"))
    heading = f"{'shipper':>9}{'all':>8}{'ratio':>7}{'tasks/s (quartiles)':>24}{'ratio':>7}"
    lines = [f"{'CPU us a task (added)':<66}{names}{heading}"]
    whole = {name: statistics.median(map(total, found)) for name, found in samples.items()}
    for name, found in samples.items():
        cells = "".join(
            f"{f'{statistics.median(getattr(one, part) for one in found):.0f} ({added(samples, name, part):+.0f})':>14}"
            for part in ("publisher", "main", "child")
        )
        shipper = statistics.median(one.shipper for one in found)
        rates = [one.rate for one in found]
        low, _, high = statistics.quantiles(rates, n=4)
        rate = f"{statistics.median(rates):.0f} ({low:.0f} to {high:.0f})"
        ratio = statistics.median(
            one.rate / plain.rate for one, plain in zip(found, samples[PLAIN], strict=True)
        )
        lines.append(
            f"{VARIANTS[name]:<66}{cells}{shipper:>9.0f}{whole[name]:>8.0f}{whole[name] / whole[PLAIN]:>7.2f}"
            f"{rate:>24}{ratio:>7.2f}"
        )
    return "\n".join(lines)


def total(sample: Sample) -> float:
    """Return the CPU of all processes that belong to the application and to what records it."""
    return sample.publisher + sample.main + sample.child + sample.shipper


def as_json(samples: Mapping[str, list[Sample]]) -> dict[str, dict[str, list[float]]]:
    """Return the samples by variant and column."""
    return {
        name: {part.name: [getattr(one, part.name) for one in found] for part in fields(Sample)}
        for name, found in samples.items()
    }


def main() -> None:
    """Measure and print."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(description="CPU from end to end, beside others")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 500 tasks")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="beside the package celerytrail in DIR only"
    )
    given = parser.parse_args()
    names = (PLAIN, OURS, OTHER) if given.against else USUAL
    rounds, tasks = (2, 500) if given.quick else (given.rounds, given.tasks)
    samples = measure(rounds, tasks, names, given.against)
    print(json.dumps(as_json(samples)) if given.json else report(samples))


if __name__ == "__main__":
    main()
