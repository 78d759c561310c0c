"""Drops whole days of the ledger, announced in the chain before and reported in it with the drop."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.erasure import Actor
from celerytrail.sql.errors import RetentionFailed
from celerytrail.sql.migrate import require_schema
from celerytrail.sql.named_queries import queries

FORGET_AT_ONCE = 2_000
"""Tasks that one statement looks at, so that none holds its locks for long."""

POLL_SECONDS = 1.0
"""Pause between two looks for a checkpoint."""

Connection = psycopg.Connection[tuple[Any, ...]]
Say = Callable[[str], None]

# lock_timeout of the function is shorter than the server needs to see a deadlock, except at its end.
_BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

_NO_SUCH_DAY = "CT010"


class DroppedByAnother(Exception):
    """A run beside this one has dropped the day meanwhile."""


class Announcement(Enum):
    """How far the announcement of a day is. The values are those of celerytrail.announcement_state."""

    NONE = "not announced"
    NO_CHECKPOINTS = "no checkpoints"
    WAITING = "waiting"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class OldDay:
    """A day beyond what is kept: blocks with events of it, its events, whether it is announced."""

    day: date
    groups: int
    rows: int
    announced: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """A day that was dropped, with what went, and how long the statement took."""

    day: date
    groups: int
    rows: int
    seconds: float


@contextmanager
def retainer(dsn: str) -> Iterator[Connection]:
    """Open a connection as the maintainer's role for the functions below.

    Raises DatabaseUnreachable, SchemaTooNew, SchemaTooOld, and RetentionFailed for what the database
    refuses meanwhile.
    """
    try:
        with connect(dsn, application_name="celerytrail retain", autocommit=True) as connection:
            require_schema(connection)
            connection.execute(queries("retention")["begin_session"])
            yield connection
    except psycopg.Error as error:
        said = str(error.diag.message_primary or error).strip().split("\n")[0]
        raise RetentionFailed(
            f"retention stopped: {said}. What was announced is finished by the next run."
            " Needs role celerytrail_maintainer."
        ) from error


def old_days(connection: Connection, keep_days: int) -> list[OldDay]:
    """Return the days that ended more than ``keep_days`` full UTC days ago, oldest first."""
    found = connection.execute(queries("retention")["old_days"], {"keep_days": keep_days})
    return [OldDay(*row) for row in found]


def announce(connection: Connection, day: date, actor: Actor) -> None:
    """Write into the chain that a day will be dropped; where it was written already, nothing.

    Raises DroppedByAnother.
    """
    parameters = {
        "day": day,
        "actor": actor.name,
        "actor_kind": actor.kind,
        "reason": actor.reason,
    }
    with _unless_dropped(connection, day):
        connection.execute(queries("retention")["announce"], parameters)


def announcement(connection: Connection, day: date) -> Announcement:
    """Return whether a published checkpoint covers the announcement of a day."""
    ((state,),) = connection.execute(queries("retention")["announcement_state"], {"day": day})
    return Announcement(state)


def wait_for_checkpoint(connection: Connection, day: date, seconds: float) -> bool:
    """Return whether the announcement was published, or nobody makes checkpoints, within a time.

    Raises DroppedByAnother.
    """
    deadline = time.monotonic() + seconds
    while (state := announcement(connection, day)) is Announcement.WAITING:
        if time.monotonic() >= deadline:
            return False
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
    if state is Announcement.NONE and _is_gone(connection, day):
        raise DroppedByAnother(day)
    return state in (Announcement.PUBLISHED, Announcement.NO_CHECKPOINTS)


def drop_day(
    connection: Connection, day: date, *, without_checkpoint: bool = False
) -> Dropped | None:
    """Drop an announced day; None while somebody reads what it would have to lock.

    Sinks wait a fifth of a second for each of three tables at most, whether or not it succeeds.
    Raises DroppedByAnother.
    """
    begun = time.perf_counter()
    parameters = {"day": day, "without_checkpoint": without_checkpoint}
    try:
        with _unless_dropped(connection, day):
            row = connection.execute(queries("retention")["drop_day"], parameters).fetchone()
    except _BUSY:
        return None
    assert row is not None  # the function returns one row
    return Dropped(day, int(row[0]), int(row[1]), time.perf_counter() - begun)


def drop_day_within(
    connection: Connection,
    day: date,
    seconds: float,
    *,
    without_checkpoint: bool = False,
    say: Say = lambda text: None,
) -> Dropped | None:
    """Try to drop an announced day again and again, with longer and longer pauses, for a time.

    Raises DroppedByAnother.
    """
    deadline = time.monotonic() + seconds
    pause = 0.25
    while True:
        dropped = drop_day(connection, day, without_checkpoint=without_checkpoint)
        if dropped is not None:
            return dropped
        if time.monotonic() >= deadline:
            return None
        say(f"{day}: somebody reads; trying again")
        time.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, 15.0)


def forget(
    connection: Connection,
    *,
    seconds: float | None = None,
    say: Say = lambda text: None,
) -> Mapping[str, int] | None:
    """Remove from the read model what was dropped; return what went, or None when time ran out.

    Does nothing where nothing was dropped since the last time. Begins anew each time, so a run that was killed leaves
    only work.
    """
    row = connection.execute(queries("retention")["unforgotten_days"]).fetchone()
    assert row is not None  # two functions that return one value each
    days, dropped_until = row
    if not days:
        return {}
    deadline = None if seconds is None else time.monotonic() + seconds
    removed: dict[str, int] = {}
    after = "-infinity"
    while True:
        parameters = {"after": after, "at_most": FORGET_AT_ONCE}
        (found,) = connection.execute(queries("retention")["forget_tasks"], parameters)
        examined, up_to, counts = found
        _add(removed, counts)
        if not examined:
            break
        after = up_to
        say(f"forgot {removed.get('tasks', 0)} tasks")
        if deadline is not None and time.monotonic() > deadline:
            return None
    while True:
        parameters = {"at_most": FORGET_AT_ONCE}
        ((counts,),) = connection.execute(queries("retention")["forget_leftovers"], parameters)
        _add(removed, counts)
        if not any(counts.values()):
            break
        if deadline is not None and time.monotonic() > deadline:
            return None
    connection.execute(
        queries("retention")["finish_forgetting"],
        {"dropped_until": dropped_until, "removed": json.dumps(removed)},
    )
    return removed


@contextmanager
def _unless_dropped(connection: Connection, day: date) -> Iterator[None]:
    """Tell a day that is gone by now from one that may not be dropped."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate != _NO_SUCH_DAY or not _is_gone(connection, day):
            raise
        raise DroppedByAnother(day) from error


def _is_gone(connection: Connection, day: date) -> bool:
    ((is_below,),) = connection.execute(queries("retention")["is_below_horizon"], {"day": day})
    return bool(is_below) and all(old.day != day for old in old_days(connection, 1))


def _add(removed: dict[str, int], counts: Mapping[str, int]) -> None:
    for place, number in counts.items():
        removed[place] = removed.get(place, 0) + number
