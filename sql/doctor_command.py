"""`celerytrail doctor`: look at a ledger's database and say what is not as it should be."""

from __future__ import annotations

import json

import click

from celerytrail.sql.doctor.examination import EXIT_CANNOT, examine, exit_code, report
from celerytrail.sql.errors import SqlError


class CannotExamine(click.ClickException):
    """Ends the command with the exit code that says nothing was looked at."""

    exit_code = EXIT_CANNOT


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(dsn: str, as_json: bool) -> None:
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
        findings = examine(dsn)
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
