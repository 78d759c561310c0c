"""`celerytrail doctor`: look at a ledger's database and say what is not as it should be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from celerytrail.sql.doctor.examination import EXIT_CANNOT, examine, exit_code, report
from celerytrail.sql.doctor.sink_checks import Sinks
from celerytrail.sql.errors import SqlError


class CannotExamine(click.ClickException):
    """Ends the command with the exit code that says nothing was looked at."""

    exit_code = EXIT_CANNOT


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option(
    "--sink",
    "urls",
    multiple=True,
    envvar="CELERYTRAIL_DOCTOR_SINKS",
    metavar="URL",
    help="A sink to ask too, by https or on this host; repeatable. With a token in CELERYTRAIL_TOKEN, or in the file "
    "that CELERYTRAIL_TOKEN_FILE names, it is compared with the database.",
)
@click.option(
    "--sink-ca",
    "certificate",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Certificates to trust for --sink, instead of the system's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(dsn: str, urls: tuple[str, ...], certificate: Path | None, as_json: bool) -> None:
    """Say what is wrong with the ledger's database, and what to do.

    Works as any of the ledger's roles, changes nothing, and says what the role could not see;
    celerytrail_verifier sees almost all. Of a worker's own settings `celery trail doctor` tells.

    \b
    Exit codes:
      0  nothing is wrong
      1  something fails: records or proof are being lost, or nothing is received
      2  wrong usage
      3  warnings only
      4  the database cannot be reached
    """
    try:
        findings = examine(dsn, Sinks(urls, _token() if urls else None, certificate))
    except SqlError as error:
        if as_json:
            click.echo(json.dumps({"exit_code": EXIT_CANNOT, "error": str(error)}))
        raise CannotExamine(str(error)) from error
    code = exit_code(findings)
    if as_json:
        found = [finding.as_dict() for finding in findings]
        click.echo(json.dumps({"exit_code": code, "findings": found}))
    else:
        click.echo("\n".join(report(findings)))
    raise SystemExit(code)


def _token() -> str | None:
    """Return the token that sinks are asked with: no option, since others see those of a process."""
    named = os.environ.get("CELERYTRAIL_TOKEN_FILE")
    if not named:
        return os.environ.get("CELERYTRAIL_TOKEN") or None
    try:
        return Path(named).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError("the file of CELERYTRAIL_TOKEN_FILE cannot be read.") from error
