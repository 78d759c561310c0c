"""Verify again and again: what is new every few seconds, everything now and then.

Each result is kept in the ledger for dashboards. A database that is away is waited for, and so are
checkpoints that cannot be read: until they can, a run says that it was not compared with them.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psycopg

from celerytrail.sql import head_file
from celerytrail.sql.checkpoint.checkpoint_watch import CheckpointPlaces, CheckpointWatch, Looked
from celerytrail.sql.checkpoint.statement import NewEpoch
from celerytrail.sql.connection import connect
from celerytrail.sql.errors import SqlError
from celerytrail.sql.head_file import Heads
from celerytrail.sql.named_queries import queries
from celerytrail.sql.snapshot import what_failed
from celerytrail.sql.verification import Verdict
from celerytrail.sql.verify import Verification, verify_ledger

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often to verify what is new, and how often everything, in seconds."""

    every: float
    full_every: float


class VerifyDaemon:
    """Runs until it is told to stop; keeps the last good heads in memory, outside the database.

    ``kept`` are heads of a file: with them results count as compared with the outside. With
    ``checkpoints`` only those do, and every run looks at them again. ``say`` gets each verification,
    ``complain`` a line about each failure to verify, to compare or to record.
    """

    def __init__(
        self,
        dsn: str,
        schedule: Schedule,
        *,
        ways: Sequence[str],
        chain: int | None,
        jobs: int,
        kept: Heads | None,
        head_out: Path | None,
        checkpoints: CheckpointPlaces | None = None,
        say: Callable[[Verification], None],
        complain: Callable[[str], None],
    ) -> None:
        self._dsn = dsn
        self._schedule = schedule
        self._ways = ways
        self._chain = chain
        self._jobs = jobs
        self._anchored = kept is not None
        self._kept = kept
        self._head_out = head_out
        self._watch = CheckpointWatch(checkpoints) if checkpoints is not None else None
        self._epoch: int | None = None
        self._trouble: str | None = None
        self._say = say
        self._complain = complain
        self._stopped = threading.Event()
        self._last_full: float | None = None

    def stop(self) -> None:
        """Let the run that goes on end, and do not start another."""
        self._stopped.set()

    def run(self) -> None:
        """Verify on schedule until stopped; SIGTERM and SIGINT stop it, also amid a run."""

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            self.stop()
            # psycopg answers this one by cancelling the statement that runs.
            raise KeyboardInterrupt

        before = {
            number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self.loop()
        except KeyboardInterrupt:
            self.stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def loop(self) -> None:
        """Verify on schedule until stopped, without touching signals."""
        retry = FIRST_RETRY_SECONDS
        while not self._stopped.is_set():
            try:
                result = self._verify_once()
                retry = FIRST_RETRY_SECONDS
                self._say(result)
                self._record(result)
                pause = self._schedule.every
            except SqlError as error:
                pause = min(retry, LONGEST_RETRY_SECONDS)
                retry = min(retry * 2, LONGEST_RETRY_SECONDS)
                self._complain(f"{error}; trying again in {pause:g} s")
            self._stopped.wait(pause)

    def _verify_once(self) -> Verification:
        now = time.monotonic()
        full = self._last_full is None or now - self._last_full >= self._schedule.full_every
        looked = self._looked(full)
        if looked.evidence is not None and self._kept_before(looked.evidence.epoch):
            # What was kept of the epoch before may have been given up by a person.
            self._kept = None
            full = True
            looked = self._looked(full)
        result = verify_ledger(
            self._dsn,
            ways=self._ways,
            chain=self._chain,
            since=None if full else self._kept,
            against=self._kept if full else None,
            anchored=self._anchored if self._watch is None else None if looked.evidence else False,
            evidence=looked.evidence,
            trouble=looked.trouble,
            jobs=self._jobs,
        )
        if full:
            self._last_full = now
        self._remember(result, looked)
        return result

    def _looked(self, full: bool) -> Looked:
        if self._watch is None:
            return Looked(None, None)
        return self._watch.look(everything=full)

    def _kept_before(self, epoch: NewEpoch | None) -> bool:
        """Return whether heads are kept of a time before this epoch."""
        if epoch is None or self._kept is None:
            return False
        if self._epoch is None:
            return self._kept.time < epoch.time
        return self._epoch < epoch.epoch

    def _remember(self, result: Verification, looked: Looked) -> None:
        # A broken run leaves the heads where they were good, so the next one finds it again.
        if result.verdict is Verdict.BROKEN:
            if self._watch is not None:
                self._watch.forget()
        else:
            self._kept = result.heads
            if self._watch is not None and looked.evidence is not None and looked.trouble is None:
                self._watch.good()
                epoch = looked.evidence.epoch
                self._epoch = epoch.epoch if epoch is not None else 0
            if self._head_out is not None:
                head_file.write(self._head_out, result.heads)
        if looked.trouble != self._trouble:
            self._trouble = looked.trouble
            self._complain(
                f"not compared with the checkpoints: {looked.trouble}"
                if looked.trouble is not None
                else "the checkpoints can be compared with again"
            )

    def _record(self, result: Verification) -> None:
        reading = result.readings[-1]
        heads = reading.heads or {0: (0, bytes(32))}
        try:
            with connect(
                self._dsn, application_name="celerytrail verify", autocommit=True
            ) as connection:
                for chain, (n, hash) in heads.items():
                    # What a chain lacks that is gone itself is told with each that is left.
                    bad = [
                        item
                        for item in result.bad
                        if item.chain in (None, chain) or item.chain not in heads
                    ]
                    anchored = result.compared and chain not in result.unanchored
                    clean = anchored and result.trouble is None
                    status = Verdict.CLEAN if clean else Verdict.INTERNAL
                    status = Verdict.BROKEN if bad else status
                    anchor = result.anchors.get(chain)
                    connection.execute(
                        queries("verify")["record_verification"],
                        {
                            "mode": "incremental" if result.incremental else "full",
                            "chain": chain,
                            "from_n": min(reading.from_n.get(chain, 0), n),
                            "to_n": n,
                            "head_hash": hash,
                            "status": status.value,
                            "first_bad": json.dumps(bad[0].as_json()) if bad else None,
                            "rows": max(0, reading.chain_rows.get(chain, 0)),
                            "seconds": sum(one.seconds for one in result.readings),
                            "fingerprint_ok": not result.catalog,
                            "compared_with": result.compared_with,
                            "anchor_n": anchor.n if anchor is not None else None,
                            "anchor_time": anchor.time if anchor is not None else None,
                            "trouble": result.trouble,
                        },
                    )
        except psycopg.Error as error:
            self._complain(f"the result cannot be recorded: {what_failed(error)}")
