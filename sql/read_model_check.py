"""Compare the read model with what the ledger gives for it, slice by slice in one snapshot, and without writing.

What the sink's statements (``queries/read_model.sql``) would insert for the whole ledger at once is
what the tables must hold: any order and any number of batches give the same rows. So those
statements are read as queries here, and a change of one is a change of the check.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast

import psycopg
from psycopg import sql
from typing_extensions import LiteralString

from celerytrail.sql.named_queries import queries
from celerytrail.sql.read_model_slices import (
    ROWS_IN_A_SLICE,
    Difference,
    SliceFile,
    SliceFound,
    how_many,
)
from celerytrail.sql.snapshot import Connection, snapshot, what_failed
from celerytrail.sql.verification import CannotVerify, Progress

AT_MOST = 20
"""How many differences of a table are named."""

_INSERT = re.compile(
    rb"(?P<with>WITH .*?)?INSERT INTO celerytrail\.(?P<table>\w+)(?: AS \w+)? \((?P<columns>[^)]*)\)\s*"
    rb"(?P<select>SELECT\b.*?)\nON CONFLICT\b",
    re.DOTALL,
)
_UPDATE = re.compile(rb"\nFROM \((?P<select>.*)\n\) AS n\n", re.DOTALL)
_STAGED = re.compile(rb"\bpg_temp\.staged_spans\b")
_STREAMS = (
    "stream_id",
    "namespace",
    "service",
    "environment",
    "process_kind",
    "worker",
    "host",
    "pid",
    "seqs",
    "last_seq",
    "lost",
    "opened_at",
    "closed_at",
    "abandoned_at",
    "first_seen_at",
    "updated_at",
    "heartbeat_at",
    "version",
    "spool_bytes",
    "spool_segments",
    "spool_lag_ms",
    "rejected",
    "delivery_error",
    "heartbeat_key",
)
_TASK_ACTIONS = (
    "action_id",
    "task_id",
    "namespace",
    "service",
    "environment",
    "intent_id",
    "action_time",
    "verb",
    "phase",
    "result",
    "new_task_id",
    "actor",
)


_SLICED_BY: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tasks": ("task_id", ("task_id",)),
    "failures": ("event_id", ("event_id",)),
    "runs": ("run_id", ("run_id",)),
    "run_ends": ("send_id", ("send_id",)),
    "groups": ("group_id", ("group_id",)),
    "workers": ("worker", ("worker",)),
    "streams": ("stream_id", ("stream_id", "about_stream_id")),
    "task_actions": ("task_id", ()),
}
"""By which column of a table its slices are, and which columns of a span name its rows; of the actions each names many."""


@dataclass(frozen=True, slots=True)
class ReadModelCheck:
    """How many rows each table has and how many differ, the first of those that do, and what was found in which slice."""

    rows: Mapping[str, int]
    differing: Mapping[str, int]
    differences: tuple[Difference, ...]
    slices: tuple[SliceFound, ...] = ()

    @property
    def differs(self) -> bool:
        """Return whether any row is not as the ledger has it."""
        return any(self.differing.values())

    def as_json(self) -> dict[str, Any]:
        """Return it as the command's JSON shows it."""
        return {
            "rows": dict(self.rows),
            "differing": dict(self.differing),
            "differences": [one.as_json() for one in self.differences],
            "slices": [one.as_json() for one in self.slices],
        }


@dataclass(frozen=True, slots=True)
class _Expected:
    """The query that gives the rows of a table, and their columns."""

    select: sql.Composable
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """One slice of a table."""

    table: str
    number: int
    of: int

    def condition(self, alias: str, columns: Sequence[str]) -> sql.Composable:
        """Return the condition of rows one of whose columns puts them here."""
        if self.of == 1 or not columns:
            return sql.SQL("true")
        one = _ours(queries("verify")["read_model_in_slice"])
        return sql.SQL(" OR ").join(
            one.format(column=sql.Identifier(alias, name), of=self.of, number=self.number)
            for name in columns
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    """The columns of a table's key, and those that say when something happened."""

    keys: tuple[str, ...]
    times: tuple[str, ...]


def check_read_model(
    dsn: str,
    progress: Progress | None = None,
    *,
    kept: SliceFile | None = None,
    rows_in_a_slice: int = ROWS_IN_A_SLICE,
) -> ReadModelCheck:
    """Compare every table of the read model at ``dsn`` with the ledger, slice by slice, in one snapshot.

    ``rows_in_a_slice`` bounds about how many rows of the ledger are sorted at once. ``kept`` gets the
    result of each slice, and spares those that it has in order already. Rows that reach back before what
    retention dropped are left out. Needs the rights of celerytrail_verifier. Raises
    DatabaseUnreachable, CannotVerify.
    """
    found: list[SliceFound] = []
    with snapshot(dsn) as connection:
        try:
            connection.execute(queries("read_model")["join_large"])
            tables = {
                name: _Stored(tuple(keys), tuple(times))
                for name, keys, times in connection.execute(queries("verify")["read_model_tables"])
            }
            horizon = connection.execute(queries("verify")["read_model_horizon"]).fetchone()
            expected = _expected()
            for table in expected:
                if table not in tables:
                    raise CannotVerify(
                        f"there is no table celerytrail.{table}: run `celerytrail migrate`"
                    )
            of = _slices(connection, kept, rows_in_a_slice)
            for table, rows_of_it in expected.items():
                for number in range(of):
                    one = kept.found(table, number) if kept is not None else None
                    if one is None:
                        place = _Place(table, number, of)
                        statement = _comparison(place, tables[table], rows_of_it, horizon)
                        one = _found(place, connection.execute(statement).fetchall())
                        if kept is not None:
                            kept.keep(one)
                    found.append(one)
                    if progress is not None:
                        progress(len(found), of * len(expected))
        except psycopg.errors.InsufficientPrivilege as error:
            raise CannotVerify(
                f"{what_failed(error)}: connect as celerytrail_verifier, and run `celerytrail migrate`"
            ) from error
    return _summed(found)


def _slices(connection: Connection, kept: SliceFile | None, rows_in_a_slice: int) -> int:
    row = connection.execute(queries("verify")["read_model_extent"]).fetchone()
    assert row is not None  # the statement has one row
    ledger_id, rows = row
    of = how_many(rows, rows_in_a_slice)
    if kept is None:
        return of
    texts = [*queries("read_model").values()]
    texts += [text for name, text in queries("verify").items() if name.startswith("read_model_")]
    return kept.begin(ledger_id, hashlib.sha256(b"\0".join(texts)).hexdigest(), of)


def _found(place: _Place, answer: Sequence[Sequence[Any]]) -> SliceFound:
    rows = differing = 0
    differences = []
    for key, what, count, columns in answer:
        if key is None:
            rows, differing = int(what), int(count)
        else:
            differences.append(Difference(place.table, key, what, tuple(columns or ())))
    now = datetime.now(timezone.utc)
    return SliceFound(place.table, place.number, place.of, rows, differing, tuple(differences), now)


def _summed(found: Sequence[SliceFound]) -> ReadModelCheck:
    rows: dict[str, int] = {}
    differing: dict[str, int] = {}
    differences: dict[str, list[Difference]] = {}
    for one in found:
        rows[one.table] = rows.get(one.table, 0) + one.rows
        differing[one.table] = differing.get(one.table, 0) + one.differing
        differences.setdefault(one.table, []).extend(one.differences)
    first = [
        difference
        for of_table in differences.values()
        for difference in sorted(of_table, key=lambda one: one.key)[:AT_MOST]
    ]
    return ReadModelCheck(rows, differing, tuple(first), tuple(found))


def _expected() -> dict[str, _Expected]:
    """Return what gives the rows of each table of the read model."""
    expected = {}
    for statement in queries("read_model").values():
        found = _INSERT.search(statement)
        if found is not None:
            select = _STAGED.sub(b"staged", (found["with"] or b"") + found["select"])
            columns = tuple(name.decode() for name in re.findall(rb"\w+", found["columns"]))
            expected[found["table"].decode()] = _Expected(_ours(select), columns)
    parts = {name: _ours(_inner(name)) for name in ("streams", "abandoned_streams", "heartbeats")}
    streams = _ours(queries("verify")["read_model_streams"]).format(**parts)
    expected["streams"] = _Expected(streams, _STREAMS)
    task_actions = _ours(queries("verify")["read_model_task_actions"])
    expected["task_actions"] = _Expected(task_actions, _TASK_ACTIONS)
    return expected


def _inner(name: str) -> bytes:
    found = _UPDATE.search(queries("read_model")[name])
    if found is None:
        raise CannotVerify(f"the sink's statement {name} is not of the form that is known here")
    return _STAGED.sub(b"staged", found["select"])


def _comparison(
    place: _Place, stored: _Stored, expected: _Expected, horizon: Sequence[Any] | None
) -> sql.Composed:
    table = place.table
    key, named_by = _SLICED_BY.get(table, (stored.keys[0], ()))

    def listed(names: Sequence[str], *of: str) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(*of, name) for name in names)

    given: sql.Composable = listed(expected.columns, "e")
    if table == "streams":
        last_seq = _ours(queries("verify")["read_model_last_seq"])
        given = sql.SQL(", ").join(
            last_seq if name == "last_seq" else sql.Identifier("e", name)
            for name in expected.columns
        )
    return _ours(queries("verify")["read_model_compare"]).format(
        staged=_ours(queries("verify")["read_model_staged"]),
        columns=listed(expected.columns),
        select=expected.select,
        keys=listed(stored.keys),
        table=sql.Identifier(table),
        stored=listed(expected.columns, "l"),
        given=given,
        comparable=_comparable(table, horizon, stored.times),
        at_most=AT_MOST,
        staged_here=place.condition("g", named_by),
        expected_here=place.condition("x", (key,)),
        stored_here=place.condition("t", (key,)),
    )


def _comparable(table: str, horizon: Sequence[Any] | None, times: Sequence[str]) -> sql.Composable:
    """Return the condition of rows that can be compared at all."""
    dropped = horizon is not None and horizon[1]
    if table == "streams":
        name = "read_model_streams_reach_back" if dropped else "read_model_streams_whole"
        return _ours(queries("verify")[name]).format()
    if not dropped or table == "task_actions":
        return sql.SQL("true")
    assert horizon is not None
    return _ours(queries("verify")["read_model_reaches_back"]).format(
        times=sql.SQL(", ").join(sql.Identifier("l", name) for name in times),
        retained_from=f"{horizon[0]} 00:00:00+00",
    )


def _ours(statement: bytes) -> sql.SQL:
    # Our own files, not user input: what LiteralString stands for.
    return sql.SQL(cast("LiteralString", statement.decode().rstrip().removesuffix(";")))  # type: ignore[redundant-cast,unused-ignore]
