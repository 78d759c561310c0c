"""Writes one batch of rows inside an open transaction: stage, sort out, insert, count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from typing import Any

import psycopg

from celerytrail.exporter.attributes import (
    DAY_AFTER_ALL,
    DAY_BEFORE_ALL,
    PAYLOAD_COLUMNS,
    SPAN_COLUMNS,
    STEPS,
    Column,
)
from celerytrail.exporter.sink.errors import LedgerRefused
from celerytrail.exporter.sink.written import Principal, Written
from celerytrail.sql.named_queries import queries

Row = tuple[Any, ...]
Connection = psycopg.Connection[tuple[Any, ...]]

_SPAN = {column.name: index for index, column in enumerate(SPAN_COLUMNS)}
_PAYLOAD = {column.name: index for index, column in enumerate(PAYLOAD_COLUMNS)}
_STREAM, _SEQ, _STEP = _SPAN["stream_id"], _SPAN["seq"], _SPAN["step"]
_ABOUT, _GROUP = _SPAN["about_stream_id"], _SPAN["group_id"]
_ATTRIBUTES = _SPAN["attributes"]
_RUN, _SEND = _SPAN["run_id"], _SPAN["send_id"]
_TASK_MODEL = ("join_large", "tasks", "runs")
_FINGERPRINT = "celery.exception.fingerprint"
_OF_WORKERS = frozenset(step.name for step in STEPS if step.subject == "worker")
_ENDS = frozenset(step.name for step in STEPS if step.subject == "task" and step.ends)

# A date travels as the int4 that its binary form is: Python has no infinite date.
_EPOCH = date(2000, 1, 1).toordinal()
_INFINITE = {DAY_BEFORE_ALL: -(2**31), DAY_AFTER_ALL: 2**31 - 1}
MAX_QUARANTINED = 100


class Swallowed(LedgerRefused):
    """Rows that were inserted without an error are not in the table."""


def write_span_batch(
    connection: Connection, principal: Principal, rows: Sequence[Row], *, some_are_there: bool
) -> Written:
    """Store spans and their read model; the caller has authenticated, and commits.

    ``rows`` are in the order of ``SPAN_COLUMNS``, json as text; the caller made sure that integers
    fit, since a binary COPY would cut them. Without ``some_are_there`` an event that the ledger has
    under another number raises psycopg.errors.UniqueViolation; with it, each is looked for. Raises
    Swallowed when rows vanished without an error, LedgerRefused when the guards of the ledger do
    not hold, psycopg.Error as it comes.
    """
    ingest = queries("ingest")
    known, equivocations, refused = 0, 0, 0
    refusals: list[str] = []
    quarantined: list[bytes] = []

    mine, foreign = _own(rows, principal, _SPAN["namespace"])
    if foreign:
        refused += foreign
        refusals.append("rows of another deployment than that of the token")
    first: dict[tuple[Any, Any], Row] = {}
    for row in mine:
        number = (row[_STREAM], row[_SEQ])
        if number not in first:
            first[number] = row
        elif first[number] == row:
            known += 1
        else:
            equivocations += 1
            quarantined.append(repr(row).encode())
    fresh = list(first.values())
    if not fresh:
        _quarantine(connection, quarantined)
        return Written(0, known, equivocations, refused, tuple(refusals))

    copy_rows(connection, ingest["copy_spans"], SPAN_COLUMNS, fresh)
    abouts = {row[_ABOUT] for row in fresh if row[_ABOUT] is not None}
    streams = {
        "streams": list({row[_STREAM] for row in fresh} | abouts),
        "namespace": principal.namespace,
        "service": principal.service,
        "environment": principal.environment,
    }
    with in_one_go(connection):
        connection.execute(ingest["add_streams"], streams)
        connection.execute(ingest["lock_streams"], streams)
        found = connection.execute(ingest["survey"])
    seen, unsettled, too_old, retained_from, horizon_holds = the_row(found)
    if not horizon_holds:
        # A row that is refused is gone for its sender: never on the word of such a horizon.
        raise LedgerRefused(f"the horizon of the ledger is wrong: {retained_from or 'missing'}")
    staged = len(fresh)
    if seen:
        again, differing, items = _one(connection, ingest["take_out_seen"])
        known += again
        equivocations += differing
        quarantined += items
        staged -= again + differing
    if too_old:
        (dropped,) = _one(connection, ingest["take_out_too_old"])
        if dropped:
            refused += dropped
            refusals.append(f"rows of days before {retained_from}, which retention dropped")
            staged -= dropped
    if unsettled:
        connection.execute(ingest["settle_days"])

    with in_one_go(connection):
        insert = connection.execute(
            ingest["insert_spans_not_there" if some_are_there else "insert_spans"]
        )
        guards = connection.execute(ingest["guards_hold"])
    inserted = insert.rowcount
    if inserted != staged:
        conflicting, swallowed, items = _one(connection, ingest["take_out_conflicting"])
        if swallowed or inserted > staged:
            raise Swallowed(f"{swallowed} of {staged} rows were swallowed by the database")
        known += staged - inserted - conflicting
        equivocations += conflicting
        quarantined += items
    _require(guards)
    _update_read_model(connection, fresh, bool(abouts))
    _quarantine(connection, quarantined)
    return Written(inserted, known, equivocations, refused, tuple(refusals))


def write_payload_batch(
    connection: Connection, principal: Principal, rows: Sequence[Row], *, some_are_there: bool
) -> Written:
    """Store payload items; the caller has authenticated, and commits.

    ``rows`` are in the order of ``PAYLOAD_COLUMNS``. The key of an item is a hash of what it says,
    so one that is there already is the same: it is left out with ``some_are_there``, and raises
    psycopg.errors.UniqueViolation without. Raises as ``write_span_batch``.
    """
    ingest = queries("ingest")
    mine, foreign = _own(rows, principal, _PAYLOAD["namespace"])
    refusals: tuple[str, ...] = ()
    if foreign:
        refusals += ("rows of another deployment than that of the token",)
    if not mine:
        return Written(0, 0, 0, foreign, refusals)
    copy_rows(connection, ingest["copy_payloads"], PAYLOAD_COLUMNS, mine)
    with in_one_go(connection):
        refused = connection.execute(ingest["take_out_refused_payloads"])
        connection.execute(ingest["settle_payload_days"])
    too_old, erased = the_row(refused)
    if too_old:
        (holds,) = _one(connection, ingest["horizon_holds"])
        if not holds:
            raise LedgerRefused("the horizon of the ledger is later than today")
        refusals += ("payloads of days that retention dropped",)
    if erased:
        refusals += ("payloads of tasks whose payloads were erased",)
    staged = len(mine) - too_old - erased
    with in_one_go(connection):
        insert = connection.execute(
            ingest["insert_payloads_not_there" if some_are_there else "insert_payloads"]
        )
        guards = connection.execute(ingest["guards_hold"])
    inserted = insert.rowcount
    if inserted != staged:
        (swallowed,) = _one(connection, ingest["swallowed_payloads"])
        if swallowed or inserted > staged:
            raise Swallowed(f"{swallowed} of {staged} payloads were swallowed by the database")
    _require(guards)
    return Written(inserted, staged - inserted, 0, foreign + too_old + erased, refusals)


def days_of(rows: Iterable[Row], columns: Sequence[Column]) -> set[date]:
    """Return the finite days of rows in the order of ``columns``."""
    position = [column.name for column in columns].index("day")
    return {row[position] for row in rows if isinstance(row[position], date)}


def copy_rows(
    connection: Connection, statement: bytes, columns: Sequence[Column], rows: Sequence[Row]
) -> None:
    """Send rows in the order of ``columns`` through a COPY in binary format. Raises psycopg.Error."""
    position = [column.name for column in columns].index("day")
    # Json goes as the text that it is: psycopg's own dumper would encode it once more.
    sent_as = {"date": "int4", "json": "text"}
    types = [sent_as.get(column.type, column.type) for column in columns]
    with connection.cursor().copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            day = row[position]
            number = _INFINITE[day] if isinstance(day, str) else day.toordinal() - _EPOCH
            copy.write_row((*row[:position], number, *row[position + 1 :]))


def _require(guards: psycopg.Cursor[Row]) -> None:
    (holds,) = the_row(guards)
    if not holds:
        raise LedgerRefused("the guards of the ledger do not hold")


def _own(rows: Sequence[Row], principal: Principal, start: int) -> tuple[list[Row], int]:
    deployment = principal.deployment
    mine = [row for row in rows if row[start : start + 3] == deployment]
    return mine, len(rows) - len(mine)


def _update_read_model(connection: Connection, rows: Sequence[Row], abouts: bool) -> None:
    model = queries("read_model")
    with in_one_go(connection):
        for name in _read_model_statements(rows, abouts):
            connection.execute(model[name])


def _read_model_statements(rows: Sequence[Row], abouts: bool) -> Iterator[str]:
    steps = {row[_STEP] for row in rows}
    yield "streams"
    if abouts:
        yield "abandoned_streams"
    yield from _TASK_MODEL
    if any(row[_RUN] is None and row[_SEND] is not None and row[_STEP] in _ENDS for row in rows):
        yield "run_ends"
    if any(_FINGERPRINT in row[_ATTRIBUTES] for row in rows):
        yield "failures"
    if any(row[_GROUP] is not None for row in rows):
        yield "groups"
    if not steps.isdisjoint(_OF_WORKERS):
        yield "workers"
    if not steps.isdisjoint({"worker_heartbeat", "shipper_heartbeat"}):
        yield "heartbeats"


def _quarantine(connection: Connection, items: Sequence[bytes]) -> None:
    if items:
        connection.execute(
            queries("ingest")["quarantine"],
            {
                "reason": "equivocation: stream and number of another event",
                "items": list(items[:MAX_QUARANTINED]),
            },
        )


def _one(connection: Connection, statement: bytes) -> tuple[Any, ...]:
    return the_row(connection.execute(statement))


def the_row(cursor: psycopg.Cursor[Row]) -> Row:
    """Return the row of a statement that always has one: it aggregates, or raises."""
    row = cursor.fetchone()
    assert row is not None
    return row


def in_one_go(connection: Connection) -> AbstractContextManager[object]:
    """Send the statements of a block without waiting for the answer of each.

    Their answers are there after the block, which raises the error of the first that failed; none
    after it ran. A COPY has no place in such a block. With a libpq before 14 each is waited for.
    """
    return connection.pipeline() if psycopg.Pipeline.is_supported() else nullcontext()
