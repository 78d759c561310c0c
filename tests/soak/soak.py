"""One soak: a workload through two workers, faults all the while, and the books compared."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from tests.acceptance.pipeline import Pipeline, Program
from tests.soak.books import Balance, Written, balance
from tests.soak.faults import Faults

APPS = Path(__file__).parent / "apps"
STUCK_SECONDS = 30.0
DRAIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much, how random, and how often something is broken."""

    tasks: int
    seed: int
    seconds_between_faults: float = 2.5
    limit_seconds: float = 3600.0
    lose_a_segment: bool = False
    spool_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out: the balance, the verdict on the chain, and what was done to the pipeline."""

    plan: Plan
    balance: Balance
    chain: str
    faults: dict[str, int]
    segment_events: int
    unfinished: int
    seconds: float

    def passed(self) -> bool:
        """Say whether nothing is missing, double or invented, and the chain is clean."""
        return self.balance.even() and self.chain == "clean"

    def as_json(self) -> str:
        """Return the outcome as one line."""
        return json.dumps(
            {
                "passed": self.passed(),
                "seed": self.plan.seed,
                "tasks": self.plan.tasks,
                **asdict(self.balance),
                "chain": self.chain,
                "unfinished": self.unfinished,
                "faults": self.faults,
                "seconds": round(self.seconds, 1),
            }
        )


class Soak:
    """Runs a plan on a pipeline that is prepared. ``say`` is shown how things stand, now and then."""

    def __init__(self, pipeline: Pipeline, plan: Plan, say: Callable[[str], None]) -> None:
        self._pipeline = pipeline
        self._plan = plan
        self._say = say
        self._began = time.monotonic()
        self._read = self._lines = 0
        self._heads = pipeline.directory / "heads.json"
        self._broker = redis.Redis.from_url(pipeline.broker_url)
        pipeline.shipper_settings["CELERYTRAIL_SPOOL_MAX_BYTES"] = str(plan.spool_bytes)

    def run(self) -> Outcome:
        """Run the plan to its end.

        Raises AssertionError, with the end of a log, for a part that does not start or stop, and
        for a workload that does not end within the limit.
        """
        workers = [self._start_worker(number) for number in range(2)]
        publisher = self._pipeline.start(
            "publisher",
            [
                self._pipeline.python, str(APPS / "publish_soak.py"),
                str(self._plan.tasks), str(self._plan.seed),
            ],
            self._environ(),
        )  # fmt: skip
        chance = random.Random(self._plan.seed)
        faults = Faults(self._pipeline, workers, chance, self._pause)
        lost = faults.lose_a_segment() if self._plan.lose_a_segment else 0
        self._break_until_done(publisher, faults, chance)
        assert publisher.process.wait() == 0, publisher.tail()
        unfinished = self._unacknowledged()
        for worker in workers:
            worker.stop(seconds=120)
        self._drain()
        self._keep_heads()  # a short run may not have come to it before
        self._say("comparing the books")
        found = balance(self._pipeline, Written.read(self._pipeline.record), faults.killed)
        return Outcome(
            self._plan,
            found,
            self._verdict(),
            dict(sorted(faults.counts.items())),
            lost,
            unfinished,
            time.monotonic() - self._began,
        )

    def _start_worker(self, number: int) -> Program:
        worker = self._pipeline.start(
            f"worker{number}",
            [
                self._pipeline.python, "-m", "celery", "-A", "soaked", "worker",
                "--loglevel", "WARNING", "-n", f"soak{number}@%h", "--concurrency", "2",
                "--without-mingle", "--without-gossip",
            ],
            self._environ(),
        )  # fmt: skip
        assert worker.alive(), worker.tail()
        return worker

    def _environ(self) -> dict[str, str]:
        return self._pipeline.environ(PYTHONPATH=str(APPS))

    def _break_until_done(self, publisher: Program, faults: Faults, chance: random.Random) -> None:
        lines, changed_at = 0, time.monotonic()
        while True:
            self._pause(chance.uniform(0.2, 2 * self._plan.seconds_between_faults))
            self._keep_heads()
            now = time.monotonic()
            if self._lines != lines:
                lines, changed_at = self._lines, now
            elif not publisher.alive() and (
                (self._waiting() == 0 and self._unacknowledged() == 0)
                or now - changed_at > STUCK_SECONDS
            ):
                return
            assert now - self._began < self._plan.limit_seconds, (
                f"after {now - self._began:.0f} s {self._waiting()} tasks wait:\n{publisher.tail()}"
            )
            faults.one()

    def _keep_heads(self) -> None:
        """Keep the first heads of the chain aside: what the ledger is verified against at the end."""
        if self._heads.exists() or not self._pipeline.rows(
            "SELECT 1 FROM celerytrail.spans LIMIT 1"
        ):
            return
        kept = self._pipeline.command(
            "verify", "--dsn", self._pipeline.dsn("celerytrail_verifier"),
            "--way", "sql", "--head-out", str(self._heads),
        )  # fmt: skip
        assert self._heads.exists(), kept.stdout + kept.stderr

    def _waiting(self) -> int:
        return int(self._broker.llen("celery"))  # type: ignore[arg-type]

    def _unacknowledged(self) -> int:
        return int(self._broker.hlen("unacked"))  # type: ignore[arg-type]

    def _drain(self) -> None:
        """Let what is in the spool be delivered, and everybody say goodbye."""
        left, deadline = self._left(), time.monotonic() + DRAIN_SECONDS
        while left:
            assert time.monotonic() < deadline, (
                f"nothing was delivered for {DRAIN_SECONDS} s, and the spool has {len(left)} segments"
            )
            self._keep_heads()
            self._say(f"draining {len(left)} segments")
            if not self._pipeline.shipper_pids():
                self._pipeline.command(
                    "ship", "--once", "--spool", str(self._pipeline.spool),
                    patience=self._plan.limit_seconds,
                )  # fmt: skip
            time.sleep(0.5)
            before, left = left, self._left()
            if left != before:
                deadline = time.monotonic() + DRAIN_SECONDS

    def _left(self) -> dict[str, bytes]:
        """Return the segments that are not delivered, and how far each of them is."""
        found = {}
        for segment in self._pipeline.spool.glob("*.seg"):
            try:
                found[segment.name] = segment.with_suffix(".ack").read_bytes()
            except OSError:
                found[segment.name] = b""
        return found

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self._count_lines()
            self._say(
                f"{self._lines:,} lines of the workload, {self._waiting():,} tasks wait, "
                f"{time.monotonic() - self._began:.0f} s"
            )
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.5))

    def _count_lines(self) -> None:
        if self._pipeline.record.exists():
            with self._pipeline.record.open("rb") as record:
                record.seek(self._read)
                while block := record.read(1 << 20):
                    self._read += len(block)
                    self._lines += block.count(b"\n")

    def _verdict(self) -> str:
        done = self._pipeline.command(
            "verify", "--dsn", self._pipeline.dsn("celerytrail_verifier"), "--way", "both",
            "--json", "--against", str(self._heads), patience=self._plan.limit_seconds,
        )  # fmt: skip
        if done.returncode == 0:
            return "clean"
        return f"exit code {done.returncode}: {(done.stdout or done.stderr).strip()[:500]}"
