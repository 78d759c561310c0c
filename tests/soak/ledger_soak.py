"""Writers that write to one ledger while its server is killed again and again, and is verified beside."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.errors import LedgerUnavailable
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.errors import SqlError
from celerytrail.sql.head_file import Heads
from celerytrail.sql.read_model_check import check_read_model
from celerytrail.sql.verification import Bad, Verdict
from celerytrail.sql.verify import verify_ledger
from tests.span_rows import NOON, Row, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

_AGAIN_SECONDS = 0.2
_LOOK_SECONDS = 0.05
_LARGEST_BATCH = 200
_FULL_EVERY = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard. A writer stops after ``batches``, or at ``seconds``, what comes first."""

    writers: int
    seconds: float
    batches: int
    kill_every_seconds: float
    seed: int


@dataclass(slots=True)
class Outcome:
    """What happened, for the line that is printed at the end."""

    acknowledged: int = 0
    batches: int = 0
    sent_again: int = 0
    kills: int = 0
    verifications: int = 0
    full_verifications: int = 0
    unreachable: int = 0
    alarms: list[str] = field(default_factory=list)
    stored: int = 0
    blocks: int = 0
    read_model_differs: bool = False

    @property
    def passed(self) -> bool:
        """Say whether nothing is missing, invented or reported."""
        return (
            self.stored == self.acknowledged
            and not self.alarms
            and not self.read_model_differs
            and self.verifications > 0
        )


class LedgerSoak:
    """Runs a plan on a migrated database, whose server it kills and starts.

    A server lives until something was written and verified on it, if that takes longer than planned.
    """

    def __init__(self, database: MigratedDatabase, plan: Plan, say: Callable[[str], None]) -> None:
        self._database = database
        self._plan = plan
        self._say = say
        # Asked for once: an address that is new sets the role's password.
        self._sink, self._verifier = database.dsn("sink"), database.dsn("verifier")
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._kept: Heads | None = None
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Write, kill and verify; then verify everything that is left once more."""
        deadline = time.monotonic() + self._plan.seconds
        with ThreadPoolExecutor(self._plan.writers + 1) as threads:
            writers = [
                threads.submit(self._write, number, deadline)
                for number in range(self._plan.writers)
            ]
            verifier = threads.submit(self._verify)
            try:
                self._kill_while([*writers], verifier)
            finally:
                self._done.set()
            for work in (verifier, *writers):
                work.result()
        self._judge()
        return self.outcome

    def _kill_while(self, writers: list[Future[None]], verifier: Future[None]) -> None:
        chance = random.Random(self._plan.seed)
        server: EmbeddedPostgres = self._database.server

        def at_work() -> bool:
            return not verifier.done() and not all(writer.done() for writer in writers)

        while at_work():
            until = time.monotonic() + self._plan.kill_every_seconds * chance.uniform(0.5, 1.5)
            batches, verifications = self.outcome.batches, self.outcome.verifications
            while at_work():
                left = until - time.monotonic()
                # On a busy machine its recovery alone may take longer: then nothing would ever be
                # written or verified.
                if left <= 0 and (
                    self.outcome.batches > batches and self.outcome.verifications > verifications
                ):
                    break
                wait(writers, min(1.0, max(left, _LOOK_SECONDS)))
                self._say(
                    f"{self.outcome.acknowledged:,} rows, {self.outcome.kills} kills,"
                    f" {self.outcome.verifications} verifications, {len(self.outcome.alarms)} alarms"
                )
            if at_work():
                os.kill(server.pid, signal.SIGKILL)
                self.outcome.kills += 1
                server.stop()
                server.start()

    def _write(self, number: int, deadline: float) -> None:
        chance = random.Random(f"{self._plan.seed}/{number}")
        ledger = Ledger(self._sink, max_size=1, timeout_seconds=10)
        ledger.open()
        stream, seq = uuid.UUID(int=chance.getrandbits(128)), 1
        try:
            for _ in range(self._plan.batches):
                if time.monotonic() > deadline or self._done.is_set():
                    return
                rows: list[Row] = []
                for _ in range(chance.randint(1, _LARGEST_BATCH // 4)):
                    at = NOON - timedelta(milliseconds=chance.randint(0, 3_000))
                    rows += task_rows(seq, stream=stream, at=at)
                    seq += 4
                self._write_batch(ledger, rows)
        finally:
            ledger.close()

    def _write_batch(self, ledger: Ledger, rows: list[Row]) -> None:
        again = 0
        while True:
            try:
                written = ledger.write_spans(self._database.token, rows)
                break
            except LedgerUnavailable:
                again += 1
                if self._done.wait(_AGAIN_SECONDS):
                    raise
        with self._lock:
            self.outcome.acknowledged += written.inserted + written.known
            self.outcome.batches += 1
            self.outcome.sent_again += again

    def _verify(self) -> None:
        turn = 0
        while not self._done.wait(_AGAIN_SECONDS):
            full = turn % _FULL_EVERY == _FULL_EVERY - 1
            try:
                found = verify_ledger(
                    self._verifier,
                    since=None if full else self._kept,
                    against=self._kept if full else None,
                    jobs=2 if full else 1,
                )
            except SqlError:
                self.outcome.unreachable += 1
                continue
            turn += 1
            self.outcome.verifications += 1
            self.outcome.full_verifications += full
            self._note(found.bad)
            if found.verdict is not Verdict.BROKEN:
                self._kept = found.heads

    def _note(self, bad: tuple[Bad, ...]) -> None:
        self.outcome.alarms += [str(item) for item in bad]

    def _judge(self) -> None:
        database = self._database
        found = verify_ledger(self._verifier, against=self._kept, jobs=2)
        self._note(found.bad)
        self.outcome.blocks = found.readings[-1].blocks
        self.outcome.stored = database.value("SELECT count(*) FROM celerytrail.spans")
        self.outcome.read_model_differs = check_read_model(self._verifier).differs
