"""Compare the read model with what the ledger gives for it, in one snapshot and without writing.

What the sink's statements (``queries/read_model.sql``) would insert for the whole ledger at once is
what the tables must hold: any order and any number of batches give the same rows. So those
statements are read as queries here, and a change of one is a change of the check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import sql
from typing_extensions import LiteralString

from celerytrail.sql.named_queries import queries
from celerytrail.sql.snapshot import snapshot, what_failed
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


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as the ledger has it: its key, how it differs, and in which columns."""

    table: str
    key: str
    what: str
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"read model: {self.table} {self.key}: {self.what}{where}"


@dataclass(frozen=True, slots=True)
class ReadModelCheck:
    """How many rows each table has and how many differ, and the first of those that do."""

    rows: Mapping[str, int]
    differing: Mapping[str, int]
    differences: tuple[Difference, ...]

    @property
    def differs(self) -> bool:
        """Return whether any row is not as the ledger has it."""
        return any(self.differing.values())

    def as_json(self) -> dict[str, Any]:
        """Return it as the command's JSON shows it."""
        return {
            "rows": dict(self.rows),
            "differing": dict(self.differing),
            "differences": [
                {"table": one.table, "key": one.key, "what": one.what, "columns": list(one.columns)}
                for one in self.differences
            ],
        }


@dataclass(frozen=True, slots=True)
class _Expected:
    """The query that gives the rows of a table, and their columns."""

    select: sql.Composable
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Stored:
    """The columns of a table's key, and those that say when something happened."""

    keys: tuple[str, ...]
    times: tuple[str, ...]


def check_read_model(dsn: str, progress: Progress | None = None) -> ReadModelCheck:
    """Compare every table of the read model at ``dsn`` with the ledger.

    Rows that reach back before what retention dropped are left out. Needs the rights of
    celerytrail_verifier. Raises DatabaseUnreachable, CannotVerify.
    """
    rows: dict[str, int] = {}
    differing: dict[str, int] = {}
    differences: list[Difference] = []
    with snapshot(dsn) as connection:
        try:
            connection.execute(queries("read_model")["join_large"])
            tables = {
                name: _Stored(tuple(keys), tuple(times))
                for name, keys, times in connection.execute(queries("verify")["read_model_tables"])
            }
            horizon = connection.execute(queries("verify")["read_model_horizon"]).fetchone()
            expected = _expected()
            for number, (table, rows_of_it) in enumerate(expected.items(), 1):
                if table not in tables:
                    raise CannotVerify(
                        f"there is no table celerytrail.{table}: run `celerytrail migrate`"
                    )
                answer = connection.execute(_comparison(table, tables[table], rows_of_it, horizon))
                for key, what, count, columns in answer:
                    if key is None:
                        rows[table], differing[table] = int(what), int(count)
                    else:
                        differences.append(Difference(table, key, what, tuple(columns or ())))
                if progress is not None:
                    progress(number, len(expected))
        except psycopg.errors.InsufficientPrivilege as error:
            raise CannotVerify(
                f"{what_failed(error)}: connect as celerytrail_verifier, and run `celerytrail migrate`"
            ) from error
    return ReadModelCheck(rows, differing, tuple(differences))


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
    table: str, stored: _Stored, expected: _Expected, horizon: Sequence[Any] | None
) -> sql.Composed:
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
