"""The checkpointer: signs where the chains stand every few seconds, and says so at several places.

It runs apart from sink and database, under a role that may only read. What went wrong is said
on stderr, in the record for dashboards, and by silence at the places it publishes to.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psycopg

from celerytrail.sql.checkpoint.checkpointer import Signed, sign_next
from celerytrail.sql.checkpoint.delivery import OK, Delivery
from celerytrail.sql.checkpoint.errors import CheckpointError, NotContinued
from celerytrail.sql.checkpoint.note_keys import SigningKey
from celerytrail.sql.checkpoint.statement import Checkpoint
from celerytrail.sql.connection import connect
from celerytrail.sql.errors import SqlError
from celerytrail.sql.named_queries import queries
from celerytrail.sql.snapshot import what_failed
from celerytrail.sql.verification import Progress

APPLICATION = "celerytrail checkpoint"
POLL_SECONDS = 1.0
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to sign: every so many seconds, idle or not, or after so many blocks."""

    every: float
    blocks: int


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did; ``trouble`` says what is not well.

    Without ``signed``, ``refused`` says that the ledger does not continue what was signed, ``away``
    that it could not be read.
    """

    signed: Signed | None
    published: dict[str, str]
    trouble: str | None
    refused: bool = False
    away: bool = False


class CheckpointDaemon:
    """Runs until it is told to stop. ``say`` gets a line for each round, ``complain`` each trouble."""

    def __init__(
        self,
        dsn: str,
        path: Path,
        key: SigningKey,
        schedule: Schedule,
        delivery: Delivery,
        *,
        begin: bool,
        jobs: int,
        say: Callable[[str], None],
        complain: Callable[[str], None],
        progress: Progress | None = None,
    ) -> None:
        self._dsn = dsn
        self._path = path
        self._key = key
        self._schedule = schedule
        self._delivery = delivery
        self._begin = begin
        self._jobs = jobs
        self._say = say
        self._complain = complain
        self._progress = progress
        self._known: Checkpoint | None = None
        self._stopped = threading.Event()
        self._in_round = False

    def run(self) -> None:
        """Sign on schedule until SIGTERM or SIGINT, which let a note that is being kept be kept."""

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            self._stopped.set()
            if not self._in_round:
                return
            # psycopg answers this one by cancelling the statement that runs; a file is written
            # in one piece, and half a line is borne by its reader.
            raise KeyboardInterrupt

        before = {
            number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self.loop()
        except KeyboardInterrupt:
            self._stopped.set()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def loop(self) -> None:
        """Sign on schedule until stopped, without touching signals."""
        retry = FIRST_RETRY_SECONDS
        while not self._stopped.is_set():
            self._in_round = True
            done = self.once()
            self._in_round = False
            if done.away:
                self._complain(f"trying again in {retry:g} s")
                self._stopped.wait(retry)
                retry = min(retry * 2, LONGEST_RETRY_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            self._wait(done.signed)

    def once(self) -> Round:
        """Verify, sign, publish and record once, and return what became of it."""
        trouble = None
        signed = None
        refused = away = False
        try:
            signed = sign_next(
                self._dsn,
                self._path,
                self._key,
                # Once it was there, a file that is gone or older is no first start.
                begin=self._begin and self._known is None,
                known=self._known,
                jobs=self._jobs,
                progress=self._progress,
            )
            trouble = signed.trouble
            self._known = signed.statement
        except NotContinued as error:
            trouble, refused = f"REFUSED: {error}", True
        except CheckpointError as error:
            trouble = str(error)
        except SqlError as error:
            trouble, away = str(error), True
        self._progress = None
        published = self._publish()
        failed = [f"{name}: {said}" for name, said in published.items() if said != OK]
        trouble = "; ".join(text for text in (trouble, *failed) if text) or None
        if signed is not None:
            self._say(_signed_line(signed, published))
        if trouble is not None:
            self._complain(trouble)
        done = Round(signed, published, trouble, refused, away)
        if not away:
            self._record(done)
        return done

    def _publish(self) -> dict[str, str]:
        # Also after a refusal: what was signed before has to get out all the more.
        try:
            return self._delivery.deliver()
        except CheckpointError as error:
            return {"file": str(error)}

    def _record(self, done: Round) -> None:
        signed = done.signed
        chains = signed.statement.chains if signed is not None else ()
        said = {
            "issued_at": signed.statement.time if signed is not None else None,
            "epoch": signed.statement.epoch if signed is not None else None,
            "key_id": self._key.verifier.key_id,
            "chains": json.dumps(
                [{"chain": head.chain, "n": head.n, "hash": head.hash.hex()} for head in chains]
            ),
            "note": str(signed.note) if signed is not None else None,
            "published": json.dumps(done.published),
            "trouble": done.trouble,
        }
        try:
            with connect(self._dsn, application_name=APPLICATION, autocommit=True) as connection:
                connection.execute(queries("checkpoint")["record_checkpoint"], said)
        except psycopg.Error as error:
            self._complain(f"the checkpoint cannot be recorded: {what_failed(error)}")
        except SqlError as error:
            self._complain(f"the checkpoint cannot be recorded: {error}")

    def _wait(self, signed: Signed | None) -> None:
        """Wait for the next time to sign, or until enough blocks came since the last one."""
        until = time.monotonic() + self._schedule.every
        before = sum(head.n for head in signed.statement.chains) if signed is not None else None
        with (
            suppress(SqlError, psycopg.Error),
            connect(self._dsn, application_name=APPLICATION, autocommit=True) as connection,
        ):
            while not self._pause(until):
                row = connection.execute(queries("checkpoint")["blocks_in_all"]).fetchone()
                now = row[0] if row is not None else 0
                if before is not None and now - before >= self._schedule.blocks:
                    return
        # The database is away: the round says so.
        while not self._pause(until):
            pass

    def _pause(self, until: float) -> bool:
        """Wait a little; return whether the waiting is over."""
        left = until - time.monotonic()
        return left <= 0 or self._stopped.wait(min(left, POLL_SECONDS))


def _signed_line(signed: Signed, published: dict[str, str]) -> str:
    where = ", ".join(f"chain {head.chain} at n {head.n}" for head in signed.statement.chains)
    at = ", ".join(name for name, said in published.items() if said == OK)
    return (
        f"{signed.statement.time.isoformat(timespec='seconds')} signed epoch"
        f" {signed.statement.epoch}: {where}, {signed.blocks:,} new blocks; at {at or 'no place'}"
    )
