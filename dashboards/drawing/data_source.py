"""Runs the queries of a dashboard as Grafana's Postgres data source does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from celerytrail.dashboards.drawing import frames
from celerytrail.dashboards.drawing.errors import DrawingError, QueryFailed
from celerytrail.dashboards.grafana_sql.errors import MacroError
from celerytrail.dashboards.grafana_sql.macros import expand_with_fill

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The range of time that a dashboard shows; both ends have a time zone."""

    start: datetime
    end: datetime

    @property
    def milliseconds(self) -> int:
        """Return its length."""
        return round((self.end - self.start).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query gave: a frame as the page reads it, its rows, and how long it took."""

    ref_id: str
    frame: Mapping[str, Any]
    rows: int
    milliseconds: float


class DataSource:
    """A connection that reads only, for queries as Grafana sends them, while the context is open."""

    def __init__(self, dsn: str) -> None:
        # The role may only read anyhow; this keeps whoever else is named in the DSN from writing.
        options = str(conninfo_to_dict(dsn).get("options") or "")
        read_only = f"{options} -c default_transaction_read_only=on -c timezone=UTC".strip()
        self._dsn = make_conninfo(dsn, options=read_only, connect_timeout=10)

    def __enter__(self) -> Self:
        try:
            self._connection = psycopg.connect(self._dsn, autocommit=True)
        except psycopg.Error as error:
            raise DrawingError(f"cannot connect to the database: {error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def ask(
        self, sql: str, *, ref_id: str, format_name: str, within: TimeRange, interval_ms: int
    ) -> Answer:
        """Return the answer to a query whose variables are put in; macros are expanded here.

        ``format_name`` is `table` or `time_series`.

        Raises:
            QueryFailed: a wrong macro, an error of Postgres, or rows that are no time series.
        """
        began = time.monotonic()
        try:
            expanded = expand_with_fill(
                sql, time_from=within.start, time_to=within.end, interval_ms=interval_ms
            )
            if expanded.fill is not None:
                raise QueryFailed("a fill in $__timeGroup is not known here: fill in SQL")
            fields = self._fields(expanded.sql)
            rows = len(fields[0].values) if fields else 0
            if format_name == "time_series" and rows:
                fields = frames.wide(fields)
        except (MacroError, DrawingError, psycopg.Error) as error:
            raise QueryFailed(f"{ref_id}: {str(error).strip()}") from error
        milliseconds = round((time.monotonic() - began) * 1000, 1)
        # Grafana sends no columns with an answer of no rows.
        return Answer(ref_id, frames.as_json(fields if rows else [], ref_id), rows, milliseconds)

    def _fields(self, sql: str) -> list[frames.Field]:
        # Without parameters the simple protocol is used, and a % in the text means nothing.
        with psycopg.ClientCursor(self._connection) as cursor:
            cursor.execute(sql.encode())
            result = cursor.pgresult
            if result is None or cursor.description is None:
                raise QueryFailed("the query returns no rows at all")
            raw = [
                [result.get_value(row, column) for row in range(result.ntuples)]
                for column in range(result.nfields)
            ]
            return [
                frames.field_of(
                    described.name,
                    described.type_code,
                    [None if value is None else bytes(value).decode() for value in column],
                )
                for described, column in zip(cursor.description, raw, strict=True)
            ]
