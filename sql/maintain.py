"""Keeps a ledger's database in order: partitions ahead, a watch over sessions, roles, leftovers, old days."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

import psycopg

from celerytrail.sql.catalog import catalog_differences
from celerytrail.sql.connection import connect
from celerytrail.sql.erasure import Actor, abandoned_erasures, go_on
from celerytrail.sql.errors import DatabaseUnreachable
from celerytrail.sql.migrate import require_schema
from celerytrail.sql.named_queries import queries
from celerytrail.sql.retention import (
    Announcement,
    DroppedByAnother,
    announce,
    announcement,
    drop_day,
    forget,
    old_days,
)

BATCH = 5_000
"""Rows a statement examines at most, so that none of them holds its locks for long."""

COLLECT_SECONDS = 5.0
"""Time a round gives to leftovers before it looks at sessions again."""

SCHEDULE = Actor("celerytrail maintain", "schedule")
"""Whom the chain names for a day that was dropped because it was old enough, and for an erasure that was finished."""

CONCLUDED_AT_ONCE = 1_000
"""Lost runs that a round concludes at most; the next one goes on."""

NAMED_RUNS = 10
"""Of those, how many get a line of their own in the report."""

LONGEST_PAUSE_SECONDS = 30.0
"""Longest wait between two attempts to reach a database that is away."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the maintainer lets pass; what is beyond is undone.

    A round every 15 seconds makes each of the first three less than a minute. Grafana's role has
    limits of its own that are tighter (table ``celerytrail_admin.role_settings``); these catch the
    sessions that lifted them. A session is ended between two statements, at the latest one
    statement later, because what it has set for itself ends only with it. ``writer_seconds`` bounds
    a transaction of a sink or of the action API, whatever it does. Without ``retain_days`` every day
    is kept. An erasure is finished that was begun ``abandoned_seconds`` ago and that nobody works on.
    """

    statement_seconds: float = 20.0
    idle_seconds: float = 15.0
    session_seconds: float = 25.0
    writer_seconds: float = 300.0
    days_ahead: int = 3
    resent_days: int = 1
    unclaimed_days: int = 7
    quarantine_days: int = 30
    retain_days: int | None = None
    check_seconds: int = 300
    check_sample: int = 400
    abandoned_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that a round did, found or could not do: one line of the report."""

    at: datetime
    step: str
    message: str
    ok: bool = True

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON, the time in RFC 3339."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "step": self.step,
            "message": self.message,
            "ok": self.ok,
        }


Report = Callable[[Done], None]
_Connection = psycopg.Connection[tuple[object, ...]]


def maintain_once(dsn: str, report: Report, bounds: Bounds | None = None) -> bool:
    """Make one round and say whether every step of it worked.

    Raises DatabaseUnreachable, SchemaTooNew, SchemaTooOld.
    """
    with _open(dsn) as connection:
        return _round(connection, bounds or Bounds(), report, with_gaps=True)


def maintain_forever(
    dsn: str,
    report: Report,
    stop: threading.Event,
    *,
    every_seconds: float = 15.0,
    bounds: Bounds | None = None,
) -> None:
    """Make a round every ``every_seconds`` until ``stop`` is set.

    A database that is away is tried again after 1, 2, 4, ... at most 30 seconds, for ever. Raises
    SchemaTooNew and SchemaTooOld, which no wait repairs.
    """
    failures = 0
    while not stop.is_set():
        try:
            with _open(dsn) as connection:
                with_gaps = True
                while True:
                    _round(connection, bounds or Bounds(), report, with_gaps=with_gaps)
                    failures = 0
                    with_gaps = False
                    if stop.wait(every_seconds):
                        return
        except (DatabaseUnreachable, psycopg.OperationalError, psycopg.InterfaceError) as exc:
            failures += 1
            pause = min(2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS)
            report(_done("connect", f"{_one_line(exc)}; again in {pause:g} s", ok=False))
            stop.wait(pause)


def _open(dsn: str) -> _Connection:
    connection = connect(dsn, application_name="celerytrail maintain", autocommit=True)
    try:
        require_schema(connection)
        connection.execute(queries("maintain")["begin_session"])
    except BaseException:
        connection.close()
        raise
    return connection


def _round(connection: _Connection, bounds: Bounds, report: Report, *, with_gaps: bool) -> bool:
    steps: list[tuple[str, Callable[[_Connection, Bounds], Iterator[str]]]] = [
        # Sessions first: one of them may hold what the other steps wait for.
        ("sessions", _watch_sessions),
        ("roles", _restore_roles),
        ("large objects", _remove_large_objects),
        ("partitions", _make_partitions),
        ("payloads", _collect_orphans),
        ("quarantine", _trim_quarantine),
        ("erasures", _finish_erasures),
        ("lost runs", _conclude_lost),
        ("read model", _check_read_model),
    ]
    if bounds.retain_days is not None:
        steps.append(("retention", _retain))
    if with_gaps:
        steps.append(("hardening", _hardening_gaps))
        steps.append(("guards", _altered_guards))
    worked = True
    for step, run in steps:
        try:
            for message in run(connection, bounds):
                report(_done(step, message))
        except psycopg.Error as exc:
            if connection.broken or connection.closed:
                raise
            worked = False
            report(_done(step, _one_line(exc), ok=False))
    return worked


def _watch_sessions(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    parameters = {
        "statement_seconds": bounds.statement_seconds,
        "idle_seconds": bounds.idle_seconds,
        "session_seconds": bounds.session_seconds,
        "writer_seconds": bounds.writer_seconds,
    }
    for pid, role, reason, ended in _rows(connection, "watch_sessions", parameters):
        did = "ended session" if ended else "cancelled a statement of session"
        yield f"{did} {pid} of {role}: it {reason}"


def _restore_roles(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    for (restored,) in _rows(connection, "restore_roles"):
        yield f"restored the {restored}"


def _remove_large_objects(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    removed = _number(connection, "remove_large_objects", {"at_most": BATCH})
    if removed:
        yield f"removed {removed} large objects"


def _make_partitions(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    made = _number(connection, "make_partitions", {"days_ahead": bounds.days_ahead})
    if made:
        yield f"made the partitions of {made} days"


def _collect_orphans(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    ages = {"resent": bounds.resent_days, "unclaimed": bounds.unclaimed_days}
    deadline = time.monotonic() + COLLECT_SECONDS
    for scan, days in ages.items():
        parameters = {"scan": scan, "older_than_days": days, "at_most": BATCH}
        removed = 0
        while True:
            (found,) = _rows(connection, "collect_orphans", parameters)
            examined, gone = (int(str(value)) for value in found)
            removed += gone
            if examined < BATCH or time.monotonic() > deadline:
                break
        if removed:
            yield f"removed {removed} payloads that no span names ({scan})"


def _trim_quarantine(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    parameters = {"older_than_days": bounds.quarantine_days, "at_most": BATCH}
    removed = _number(connection, "trim_quarantine", parameters)
    if removed:
        yield f"removed {removed} items of the quarantine"


def _retain(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    """One day a round, so that the next round comes in time; what waits is looked at again then."""
    assert bounds.retain_days is not None  # else this is no step
    for old in old_days(connection, bounds.retain_days)[:1]:
        try:
            if not old.announced:
                announce(connection, old.day, SCHEDULE)
                yield f"announced that {old.day} will be dropped: {old.rows} events"
            if announcement(connection, old.day) is not Announcement.WAITING:
                dropped = drop_day(connection, old.day)
                if dropped is not None:
                    yield f"dropped {dropped.day}: {dropped.rows} events of {dropped.groups} blocks"
        except DroppedByAnother:
            yield f"another run dropped {old.day}"
    forgotten = forget(connection, seconds=COLLECT_SECONDS)
    gone = ", ".join(f"{number} {place}" for place, number in (forgotten or {}).items() if number)
    if gone:
        yield f"the read model forgot {gone}"


def _finish_erasures(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    """A few seconds a round: where more is left, the next one goes on."""
    for one in abandoned_erasures(connection, bounds.abandoned_seconds)[:1]:
        begun = f"the erasure {one.erasure_id} that {one.actor} began at {one.begun_at:%Y-%m-%d %H:%M:%S %Z}"
        if one.continued_by != SCHEDULE.name:
            yield f"going on with {begun}: {one.remaining} tasks left"
        done = go_on(connection, one, SCHEDULE, seconds=COLLECT_SECONDS)
        if done is not None:
            yield f"finished {begun}: {done.tasks} tasks"


def _conclude_lost(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    found = _rows(connection, "conclude_lost", {"at_most": CONCLUDED_AT_ONCE})
    for task_id, _, worker, seen in found[:NAMED_RUNS]:
        yield f"concluded that the run of task {task_id} is lost: {worker} was last heard of at {seen}"
    if len(found) > NAMED_RUNS:
        yield f"concluded that {len(found) - NAMED_RUNS} more runs are lost"


def _check_read_model(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    parameters = {"sample": bounds.check_sample, "every_seconds": bounds.check_seconds}
    for sampled, different, _, task_id, column, stored, recomputed in _rows(
        connection, "check_read_model", parameters
    ):
        if different:
            yield (
                f"{different} of {sampled} tasks are not as the ledger has them, first {task_id}: "
                f"{column or 'there'} is {stored}, and the ledger says {recomputed}. "
                "Run `celerytrail rebuild --check`"
            )


def _hardening_gaps(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    for (gap,) in _rows(connection, "hardening_gaps"):
        yield f"gap: {gap}"
    for (found,) in connection.execute(queries("guards")["rights"]):
        yield f"gap: {found}"


def _altered_guards(connection: _Connection, bounds: Bounds) -> Iterator[str]:
    for difference in catalog_differences(connection):
        yield f"not as designed: {difference}; see `celerytrail doctor`"


def _rows(
    connection: _Connection, name: str, parameters: Mapping[str, object] | None = None
) -> list[tuple[object, ...]]:
    return connection.execute(queries("maintain")[name], parameters).fetchall()


def _number(connection: _Connection, name: str, parameters: Mapping[str, object]) -> int:
    ((value,),) = _rows(connection, name, parameters)
    return int(str(value))


def _done(step: str, message: str, *, ok: bool = True) -> Done:
    return Done(datetime.now(timezone.utc), step, message, ok)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
