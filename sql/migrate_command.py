"""`celerytrail migrate`: brings a database to the schema of this version."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import click
import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.errors import SqlError
from celerytrail.sql.migrate import (
    DEFAULT_WAIT_SECONDS,
    pending_migrations,
    require_suitable_server,
)
from celerytrail.sql.migrate import migrate as apply_migrations
from celerytrail.sql.migrate import migrations as known_migrations


@dataclass(frozen=True, slots=True)
class Report:
    """What --json prints: ``version`` is the newest migration of this version of the code."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    version: int
    partitions: int
    message: str


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option("--check", is_flag=True, help="Change nothing; fail when something is pending.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--wait",
    default=DEFAULT_WAIT_SECONDS,
    show_default=True,
    type=click.IntRange(1),
    help="Seconds to wait for another migration that runs now.",
)
def migrate(dsn: str, check: bool, as_json: bool, wait: int) -> None:
    """Bring a database to the schema of this version of celerytrail.

    Needs a role that may create roles and schemas. Safe to start any number of times at once.
    Exits with 1 when it cannot, or when --check finds something pending.
    """
    try:
        report = _check(dsn) if check else _migrate(dsn, wait)
    except (SqlError, psycopg.Error) as exc:
        # A click exception is what a person reads: one line, no traceback.
        if as_json:
            click.echo(json.dumps({"error": str(exc).strip(), "kind": type(exc).__name__}))
        raise click.ClickException(str(exc).strip()) from exc
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        for name in report.applied:
            click.echo(f"applied {name}")
        for name in report.pending:
            click.echo(f"pending {name}")
        click.echo(report.message)
    if report.pending:
        raise SystemExit(1)


def _migrate(dsn: str, wait: int) -> Report:
    done = apply_migrations(dsn, wait_seconds=wait)
    return Report(
        applied=done.applied,
        pending=(),
        version=done.version,
        partitions=done.partitions,
        message=f"schema is at {done.version:04d}",
    )


def _check(dsn: str) -> Report:
    with connect(dsn, application_name="celerytrail migrate", autocommit=True) as connection:
        require_suitable_server(connection)
        pending = tuple(step.name for step in pending_migrations(connection))
    return Report(
        applied=(),
        pending=pending,
        version=known_migrations()[-1].id,
        partitions=0,
        message=f"{len(pending)} migrations pending" if pending else "nothing pending",
    )
