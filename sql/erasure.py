"""Erases the user data of tasks from the database, announced and reported in the chain."""

from __future__ import annotations

import math
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.errors import ErasureFailed
from celerytrail.sql.migrate import require_schema
from celerytrail.sql.named_queries import queries

MARK_AT_ONCE = 2_000
"""Tasks marked by one statement: the sinks' payloads wait for it."""

ERASE_AT_ONCE = 500
"""Tasks erased by one transaction, each of which is one block of the chain."""

RETRY_SECONDS = 60.0
"""How long a statement that finds a lock taken is tried again."""

OPERATOR = "operator"
"""The kind of actor who runs this at a terminal."""

Connection = psycopg.Connection[tuple[Any, ...]]
Progress = Callable[[int, int], None]
"""Told how many tasks are done, and of how many."""

_AGAIN = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which user data: of tasks by id, or by a filter over what is known of each; of some kinds.

    ``from_time`` and ``to_time`` bound the time of a task's last event. Parts of the deployment that
    are None match any. ``kinds`` are those of payloads, and ``reason``: what operators wrote.
    """

    kinds: tuple[str, ...]
    task_ids: tuple[str, ...] | None = None
    namespace: str | None = None
    service: str | None = None
    environment: str | None = None
    task_name: str | None = None
    state: str | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the queries that take a selection."""
        lists = {
            "kinds": list(self.kinds),
            "task_ids": None if self.task_ids is None else list(self.task_ids),
        }
        return {**asdict(self), **lists}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who erases, as the chain says it, and why, in words that can be erased."""

    name: str
    kind: str = OPERATOR
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What an erasure would be about."""

    tasks: int
    payloads: int


@dataclass(frozen=True, slots=True)
class OpenErasure:
    """An erasure that was begun and not finished."""

    erasure_id: uuid.UUID
    actor: str
    begun_at: datetime
    remaining: int
    continued_by: str | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did: tasks, and by place how many rows went."""

    erasure_id: uuid.UUID
    tasks: int
    counts: dict[str, int] = field(default_factory=dict)


@contextmanager
def eraser(dsn: str) -> Iterator[Connection]:
    """Open a connection as the maintainer's role for the functions below.

    Raises DatabaseUnreachable, SchemaTooNew, SchemaTooOld, and ErasureFailed for what the database
    refuses meanwhile.
    """
    try:
        with connect(dsn, application_name="celerytrail erase", autocommit=True) as connection:
            require_schema(connection)
            connection.execute(queries("erasure")["begin_session"])
            yield connection
    except psycopg.Error as error:
        raise ErasureFailed(
            f"erasing stopped: {_said(error)}. What was erased is in the chain; run the same again"
            " to finish. Needs role celerytrail_maintainer."
        ) from error


def erasable_kinds(connection: Connection) -> tuple[str, ...]:
    """Return the kinds of user data that can be erased."""
    return tuple(str(kind) for (kind,) in connection.execute(queries("erasure")["erasable_kinds"]))


def preview(connection: Connection, selection: Selection) -> Preview:
    """Return how much an erasure would be about; changes nothing."""
    row = connection.execute(queries("erasure")["preview"], selection.parameters()).fetchone()
    assert row is not None  # the function returns one row
    return Preview(*row)


def erase(
    connection: Connection, selection: Selection, actor: Actor, progress: Progress | None = None
) -> Erased:
    """Erase what is selected and return what went.

    The chain has the intent before the first row goes, which tasks it was with each batch, and the
    outcome. Whatever stops this, ``open_erasures`` names it and ``finish`` goes on.
    """
    erasure_id = uuid.uuid4()
    _one(
        connection,
        "begin",
        {
            **selection.parameters(),
            "erasure_id": erasure_id,
            "actor": actor.name,
            "actor_kind": actor.kind,
            "reason": actor.reason,
        },
    )
    erased = _run(connection, erasure_id, progress)
    assert erased is not None  # without a deadline it goes on to the end
    return erased


def open_erasures(connection: Connection) -> list[OpenErasure]:
    """Return the erasures that were broken off, or that others run now, oldest first."""
    return [OpenErasure(*row) for row in connection.execute(queries("erasure")["open"])]


def finish(
    connection: Connection, erasure_id: uuid.UUID, actor: Actor, progress: Progress | None = None
) -> Erased | None:
    """Go on with an erasure and return what it did in all; None when it was finished already.

    Also beside the one who began it: each batch is taken by one of them.
    """
    who = {"erasure_id": erasure_id, "actor": actor.name, "actor_kind": actor.kind}
    if not _one(connection, "continue", who):
        return None
    return _run(connection, erasure_id, progress)


def abandoned_erasures(connection: Connection, older_than_seconds: int) -> list[OpenErasure]:
    """Return the open erasures begun so many seconds ago that no session works on, oldest first."""
    parameters = {"older_than_seconds": older_than_seconds}
    found = connection.execute(queries("erasure")["abandoned"], parameters)
    return [OpenErasure(*row) for row in found]


def go_on(
    connection: Connection, abandoned: OpenErasure, actor: Actor, *, seconds: float
) -> Erased | None:
    """Work on an erasure for about so many seconds and return what it did in all; None where more is left, or others are at it.

    That somebody goes on with it is said in the chain once, however often this is called.
    """
    if abandoned.continued_by != actor.name:
        who = {
            "erasure_id": abandoned.erasure_id,
            "actor": actor.name,
            "actor_kind": actor.kind,
        }
        if not _one(connection, "continue", who):
            return None
    return _run(connection, abandoned.erasure_id, None, deadline=time.monotonic() + seconds)


def erase_reasons(connection: Connection, intent_ids: Sequence[uuid.UUID], actor: Actor) -> Erased:
    """Erase the words that were given as the reasons of actions, named by their intents."""
    erasure_id = uuid.uuid4()
    removed = _one(
        connection,
        "erase_reasons",
        {
            "erasure_id": erasure_id,
            "actor": actor.name,
            "actor_kind": actor.kind,
            "reason": actor.reason,
            "intent_ids": list(intent_ids),
        },
    )
    return Erased(erasure_id, 0, {"action_reasons": int(removed)})


def _run(
    connection: Connection,
    erasure_id: uuid.UUID,
    progress: Progress | None,
    *,
    deadline: float = math.inf,
) -> Erased | None:
    parameters = {"erasure_id": erasure_id}
    attends = _one(connection, "attend", parameters)
    if not attends and deadline < math.inf:
        return None
    try:
        return _erase(connection, erasure_id, progress, deadline)
    finally:
        if attends and not connection.broken:
            connection.execute(queries("erasure")["leave"], parameters)


def _erase(
    connection: Connection, erasure_id: uuid.UUID, progress: Progress | None, deadline: float
) -> Erased | None:
    left = next(
        (one.remaining for one in open_erasures(connection) if one.erasure_id == erasure_id), 0
    )
    parameters = {"erasure_id": erasure_id}
    # All marks first: what comes late for the last task is refused while the first is erased.
    while _one(connection, "mark", {**parameters, "at_most": MARK_AT_ONCE}):
        if time.monotonic() > deadline:
            return None
    done = 0
    counts: dict[str, int] = {}
    while True:
        row = _retried(connection, "erase", {**parameters, "at_most": ERASE_AT_ONCE}, deadline)
        if row is None:
            break
        tasks, removed = row
        done += tasks
        for place, number in removed.items():
            counts[place] = counts.get(place, 0) + number
        if progress is not None:
            progress(done, max(done, left))
        if time.monotonic() > deadline:
            return None
    total = _one(connection, "finish", parameters)
    if total is not None:
        done = int(total.pop("tasks", 0))
        counts = {place: int(number) for place, number in total.items()}
    return Erased(erasure_id, done, counts)


def _one(connection: Connection, name: str, parameters: dict[str, Any]) -> Any:
    row = _retried(connection, name, parameters)
    assert row is not None  # the function returns one value
    return row[0]


def _retried(
    connection: Connection, name: str, parameters: dict[str, Any], deadline: float = math.inf
) -> tuple[Any, ...] | None:
    deadline = min(deadline, time.monotonic() + RETRY_SECONDS)
    pause = 0.05
    while True:
        try:
            return connection.execute(queries("erasure")[name], parameters).fetchone()
        except _AGAIN:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, 2.0)


def _said(error: psycopg.Error) -> str:
    return str(error.diag.message_primary or error).strip().split("\n")[0]
