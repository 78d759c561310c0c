"""Builds the read model again from the ledger, beside the one in use, and repairs what differs.

The statements are those that the sink keeps the read model by, applied to tables in a schema of
their own. Any order and any number of times gives the same rows, so that batches which arrive
meanwhile are simply read as well. What was found to differ is replaced in transactions of a few
thousand rows, so that readers never see an empty table, and writers wait for moments only.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from celerytrail.sql.errors import SqlError
from celerytrail.sql.named_queries import queries

ROWS_AT_ONCE = 20_000
REPAIRED_AT_ONCE = 5_000
SHADOW = b"shadow_of_celerytrail"

_STAGING = re.compile(rb"\bpg_temp\.staged_spans\b")
_LOCK_ATTEMPTS = 10

Connection = psycopg.Connection[tuple[Any, ...]]
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is of it."""


class RebuildFailed(SqlError):
    """The read model could not be built again; the one in use is whole, some of it may be repaired."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of one row that is not as the ledger has it; no column where the row is one too many or missing."""

    table: str
    key: str
    column: str | None
    stored: str | None
    rebuilt: str | None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was read, which rows were not as the ledger has them, and the first of the differences.

    ``differing`` counts rows by table. ``resumed`` says that a rebuild which was interrupted was
    gone on with.
    """

    spans: int
    actions: int
    differing: Mapping[str, int]
    differences: tuple[Difference, ...] = ()
    resumed: bool = False

    @property
    def rows(self) -> int:
        """Return how many rows were not as the ledger has them."""
        return sum(self.differing.values())


@dataclass(slots=True)
class _Read:
    spans: int = 0
    actions: int = 0
    statements: list[bytes] = field(default_factory=list)


def rebuild_read_model(
    connection: Connection,
    *,
    repair: bool = True,
    at_most: int = 20,
    rows_at_once: int = ROWS_AT_ONCE,
    progress: Progress = lambda what, done, of: None,
) -> Rebuilt:
    """Build the read model from the ledger and, with ``repair``, replace the rows that differ.

    The connection must be in autocommit mode, of a role that may become celerytrail_owner. Sinks go
    on writing. When it is killed, the next one goes on where it was. ``at_most`` bounds the
    differences that are returned. What was found is kept in ``celerytrail.rebuilds``. Rows that reach back before what retention dropped are
    neither compared nor changed, except streams, to which what is left is added.

    Raises ValueError for a connection in another mode, RebuildFailed when another rebuild runs or a lock cannot be had, psycopg.Error.
    """
    if not connection.autocommit:
        raise ValueError("the connection of a rebuild must be in autocommit mode")
    statements = queries("rebuild")
    connection.execute(statements["become_owner"])
    try:
        if _value(connection, "be_the_only_one") is not True:
            raise RebuildFailed("another rebuild of this database is running: wait for its end")
        try:
            return _rebuild(connection, repair, at_most, rows_at_once, progress)
        except psycopg.errors.LockNotAvailable as exc:
            raise RebuildFailed(
                "writers of the read model held their locks for too long; what was built is kept: "
                "run the same command again to go on from there"
            ) from exc
        except psycopg.Error as exc:
            if exc.sqlstate == "CT009":
                raise RebuildFailed(str(exc).strip().splitlines()[0]) from exc
            raise
        finally:
            if not connection.broken:
                connection.execute(statements["let_others"])
    finally:
        if not connection.broken:
            connection.execute(statements["step_back"])


def _rebuild(
    connection: Connection, repair: bool, at_most: int, rows_at_once: int, progress: Progress
) -> Rebuilt:
    began = time.monotonic()
    tables = [str(name) for (name,) in connection.execute(queries("rebuild")["tables"]).fetchall()]
    read = _Read(statements=_shadow_statements(tables))
    made_by = hashlib.sha256(b"\0".join(read.statements)).hexdigest()
    made_by += f" {_value(connection, 'newest_migration')}"
    with connection.transaction():
        resumed = bool(_value(connection, "begin", made_by=made_by))
    left = int(_value(connection, "rows_left"))
    more = True
    while more:
        with connection.transaction():
            more = _read_some(connection, read, rows_at_once)
        progress("rows read", min(read.spans + read.actions, left), left)
    differing: dict[str, int] = {}
    differences: list[Difference] = []
    with connection.transaction():
        connection.execute(queries("rebuild")["one_moment"])
        _read_rest(connection, read, rows_at_once)
        for number, table in enumerate(tables, 1):
            differing[table] = int(_value(connection, "compare", table=table))
            if differing[table]:
                differences += _differences(connection, table, at_most - len(differences))
            progress("tables compared", number, len(tables))
    if repair:
        _repair(connection, read, differing, rows_at_once, progress)
    rebuilt = Rebuilt(read.spans, read.actions, differing, tuple(differences), resumed)
    with connection.transaction():
        connection.execute(queries("rebuild")["end"])
        connection.execute(
            queries("rebuild")["record"],
            {
                "repaired": repair,
                "spans": rebuilt.spans,
                "actions": rebuilt.actions,
                "different": rebuilt.rows,
                "differing": json.dumps({name: rows for name, rows in differing.items() if rows}),
                "seconds": time.monotonic() - began,
            },
        )
    return rebuilt


def _shadow_statements(tables: list[str]) -> list[bytes]:
    """Return the sink's statements, about the tables of the schema beside."""
    names = b"|".join(name.encode() for name in tables)
    of_the_model = re.compile(rb"\bcelerytrail\.(" + names + rb")\b")
    return [
        _STAGING.sub(SHADOW + b".staged_spans", of_the_model.sub(SHADOW + rb".\1", statement))
        for statement in queries("read_model").values()
    ]


def _read_some(connection: Connection, read: _Read, rows_at_once: int) -> bool:
    row = connection.execute(queries("rebuild")["stage"], {"rows_at_once": rows_at_once}).fetchone()
    assert row is not None  # the function returns one row
    blocks, spans, actions = row
    if spans:
        for statement in read.statements:
            connection.execute(statement)
    read.spans += spans
    read.actions += actions
    return bool(blocks)


def _read_rest(connection: Connection, read: _Read, rows_at_once: int) -> None:
    while _read_some(connection, read, rows_at_once):
        pass
    connection.execute(queries("rebuild")["settle"])


def _repair(
    connection: Connection,
    read: _Read,
    differing: Mapping[str, int],
    rows_at_once: int,
    progress: Progress,
) -> None:
    total, done = sum(differing.values()), 0
    for table, rows in differing.items():
        for place in range(0, rows, REPAIRED_AT_ONCE):
            with _everybody_waits(connection):
                # Whatever was committed until now is in both, and nothing is on its way.
                _read_rest(connection, read, rows_at_once)
                up_to = min(rows, place + REPAIRED_AT_ONCE)
                connection.execute(
                    queries("rebuild")["repair"],
                    {"table": table, "after_place": place, "up_to_place": up_to},
                )
            done += up_to - place
            progress("rows repaired", done, total)


@contextmanager
def _everybody_waits(connection: Connection) -> Iterator[None]:
    with connection.transaction():
        connection.execute(queries("rebuild")["bound_wait"])
        for attempt in range(1, _LOCK_ATTEMPTS + 1):
            try:
                with connection.transaction():
                    connection.execute(queries("rebuild")["lock"])
                break
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                if attempt == _LOCK_ATTEMPTS:
                    raise
        yield


def _differences(connection: Connection, table: str, at_most: int) -> list[Difference]:
    if at_most <= 0:
        return []
    found = connection.execute(
        queries("rebuild")["differences"], {"table": table, "at_most": at_most}
    ).fetchall()
    return [Difference(table, *row) for row in found]


def _value(connection: Connection, name: str, **parameters: object) -> Any:
    row = connection.execute(queries("rebuild")[name], parameters or None).fetchone()
    assert row is not None  # each of these statements has one row
    return row[0]
