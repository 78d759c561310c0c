"""`celerytrail rebuild`: makes the read model again from the ledger, or only says where it differs."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

import click
import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.errors import SqlError
from celerytrail.sql.migrate import require_schema
from celerytrail.sql.read_model import ROWS_AT_ONCE, Difference, Rebuilt, rebuild_read_model

_PROGRESS_SECONDS = 1.0
_SHOWN = 120


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when a row differs.")
@click.option(
    "--first",
    default=20,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="How many differences to show.",
)
@click.option(
    "--rows-at-once",
    default=ROWS_AT_ONCE,
    show_default=True,
    type=click.IntRange(1, 200_000),
    help="About how many rows of the ledger to read in one transaction.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rebuild(dsn: str, check: bool, first: int, rows_at_once: int, as_json: bool) -> None:
    """Build what the dashboards read again from the ledger, and repair the rows that differ.

    Needs the role that migrates, and acts as the owner of the tables. Sinks go on writing and
    readers go on reading; nobody sees an empty table. One that was killed is gone on with by the
    next. Exits with 1 when it could not be done, or with --check when a row differs.
    """
    progress = _Progress()
    try:
        with connect(dsn, application_name="celerytrail rebuild", autocommit=True) as connection:
            require_schema(connection)
            rebuilt = rebuild_read_model(
                connection,
                repair=not check,
                at_most=first,
                rows_at_once=rows_at_once,
                progress=progress.say,
            )
    except (SqlError, psycopg.Error) as exc:
        message = str(exc).strip()
        if as_json:
            click.echo(json.dumps({"error": message, "kind": type(exc).__name__}))
        raise click.ClickException(message) from exc
    _print(rebuilt, check, as_json)
    if check and rebuilt.rows:
        sys.exit(1)


class _Progress:
    """One line a second on stderr, and the last line of each part of the work."""

    def __init__(self) -> None:
        self._due = time.monotonic() + _PROGRESS_SECONDS

    def say(self, what: str, done: int, of: int) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PROGRESS_SECONDS
        click.echo(f"{done:,} of {of:,} {what}", err=True)


def _print(rebuilt: Rebuilt, check: bool, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "spans": rebuilt.spans,
                    "actions": rebuilt.actions,
                    "rows": rebuilt.rows,
                    "repaired": not check,
                    "resumed": rebuilt.resumed,
                    "differing": dict(rebuilt.differing),
                    "differences": [asdict(one) for one in rebuilt.differences],
                }
            )
        )
        return
    for one in rebuilt.differences:
        click.echo(_line(one))
    became = "differ" if check else "differed and were repaired"
    click.echo(
        f"{rebuilt.rows} rows {became}; {rebuilt.spans} spans and {rebuilt.actions} actions read"
        f"{', after what was read before an interruption' if rebuilt.resumed else ''}"
    )


def _line(one: Difference) -> str:
    where = f"{one.table} {one.key}"
    if one.column is None:
        return f"{where}: {one.stored}, and the ledger has {one.rebuilt}"
    return (
        f"{where}: {one.column} is {_short(one.stored)}, and the ledger says {_short(one.rebuilt)}"
    )


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
