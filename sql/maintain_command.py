"""`celerytrail maintain`: keeps the database in order, once or for as long as it runs."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import click
import psycopg

from celerytrail.sql.duration_option import Duration
from celerytrail.sql.errors import SqlError
from celerytrail.sql.maintain import Bounds, Done, maintain_forever, maintain_once
from celerytrail.sql.role_passwords import set_role_passwords


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option(
    "--every",
    default=15.0,
    show_default=True,
    type=Duration(1, 30),
    help="Seconds between two rounds.",
)
@click.option("--once", is_flag=True, help="Make one round; exit with 1 when a step failed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--set-passwords",
    "passwords",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Only set the roles' passwords from DIR/<role>.password, making those that are missing. "
    "Needs the role that migrates.",
)
@click.option(
    "--retain-days",
    envvar="CELERYTRAIL_RETAIN_DAYS",
    type=click.IntRange(1, 36500),
    help="Drop days older than so many full UTC days before today, as `celerytrail retain` does. "
    "Default: keep all.",
)
def maintain(
    dsn: str,
    every: float,
    once: bool,
    as_json: bool,
    passwords: Path | None,
    retain_days: int | None,
) -> None:
    """Keep the ledger's database in order, under the role celerytrail_maintainer.

    Makes day partitions ahead, ends what Grafana's role holds too long, puts back the settings and
    passwords that a role changed of itself, removes payloads that no span names and old items of
    the quarantine, finishes erasures that were broken off, and with --retain-days drops whole old days. Prints a line for each thing it did. Stops on SIGTERM and Ctrl-C.
    """
    try:
        if passwords is not None:
            _set_passwords(dsn, passwords, as_json)
        elif once:
            _once(dsn, as_json, Bounds(retain_days=retain_days))
        else:
            _forever(dsn, every, as_json, Bounds(retain_days=retain_days))
    except (SqlError, psycopg.Error) as exc:
        message = str(exc).strip()
        if as_json:
            click.echo(json.dumps({"error": message, "kind": type(exc).__name__}))
        raise click.ClickException(message) from exc


def _set_passwords(dsn: str, directory: Path, as_json: bool) -> None:
    for done in set_role_passwords(dsn, directory):
        if as_json:
            click.echo(json.dumps({"role": done.role, "file": str(done.path), "made": done.made}))
        else:
            click.echo(f"{done.role}: {'made' if done.made else 'read'} {done.path}")


def _once(dsn: str, as_json: bool, bounds: Bounds) -> None:
    lines = 0

    def report(done: Done) -> None:
        nonlocal lines
        lines += 1
        _print(done, as_json)

    worked = maintain_once(dsn, report, bounds)
    if not lines and not as_json:
        click.echo("nothing to do")
    if not worked:
        raise SystemExit(1)


def _forever(dsn: str, every: float, as_json: bool, bounds: Bounds) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    maintain_forever(
        dsn, lambda done: _print(done, as_json), stop, every_seconds=every, bounds=bounds
    )


def _print(done: Done, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(done.as_dict()))
        return
    failed = "" if done.ok else "FAILED "
    click.echo(f"{done.at:%Y-%m-%dT%H:%M:%SZ} {done.step}: {failed}{done.message}")
