"""`celerytrail tokens`: makes, lists and revokes the tokens of the sink and of the action API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click
import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.errors import SqlError
from celerytrail.sql.tokens import (
    SCOPES,
    Connection,
    create_api_token,
    create_token,
    list_tokens,
    revoke_tokens,
)

_dsn = click.option(
    "--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def tokens() -> None:
    """Make, list and revoke the tokens that shippers show to the sink and scripts to the action API.

    Needs a role that may write celerytrail's tables of tokens: the one that migrated.
    """


@tokens.command()
@_dsn
@_json
@click.option(
    "--for",
    "used_for",
    type=click.Choice(["sink", "actions"]),
    default="sink",
    show_default=True,
    help="Where it is shown: to write events, or to act on tasks.",
)
@click.option("--name", required=True, help="Who will use it: a host, a team, a collector, a job.")
@click.option("--service", required=True, help="service.name of its deployment.")
@click.option("--namespace", default="", help="service.namespace of its deployment.")
@click.option("--environment", default="", help="deployment.environment.name of its deployment.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="A verb that it may use, --for actions only. Repeat it for several.",
)
@click.option(
    "--expires-in-days",
    type=click.IntRange(1, 36500),
    help="Default: never, for the sink; needed --for actions.",
)
def create(
    dsn: str,
    as_json: bool,
    used_for: str,
    name: str,
    service: str,
    namespace: str,
    environment: str,
    scopes: tuple[str, ...],
    expires_in_days: int | None,
) -> None:
    """Make a token and print it. It is shown this one time: the database keeps only a hash."""
    deployment = {"namespace": namespace, "service": service, "environment": environment}
    if used_for == "sink":
        if scopes:
            raise click.UsageError("--scope is for tokens of the action API: add --for actions.")
        with _open(dsn) as connection:
            made = create_token(
                connection, name=name, expires_in_days=expires_in_days, **deployment
            )
    else:
        if not scopes or expires_in_days is None:
            raise click.UsageError(
                "--for actions needs --scope, once for each verb it may use, and --expires-in-days."
            )
        with _open(dsn) as connection:
            made = create_api_token(
                connection,
                name=name,
                scopes=scopes,
                expires_in_days=expires_in_days,
                **deployment,
            )
    click.echo(_to_json(asdict(made)) if as_json else made.token)


@tokens.command("list")
@_dsn
@_json
def list_command(dsn: str, as_json: bool) -> None:
    """List all tokens: id, where it is shown, state, name, deployment, times and scopes."""
    with _open(dsn) as connection:
        listed = list_tokens(connection)
    if as_json:
        click.echo(_to_json([asdict(token) for token in listed]))
        return
    for token in listed:
        deployment = f"{token.namespace}/{token.service}/{token.environment}"
        expires = f"expires {token.expires_at:%Y-%m-%d}" if token.expires_at else "never expires"
        click.echo(
            f"{token.token_id}  {token.used_for:7}  {token.state:8}  {token.name}  {deployment}  "
            f"made {token.created_at:%Y-%m-%d}  {expires}  {' '.join(token.scopes)}".rstrip()
        )


@tokens.command()
@_dsn
@_json
@click.argument("which", metavar="ID_OR_NAME")
def revoke(dsn: str, as_json: bool, which: str) -> None:
    """Revoke one token by its id, or all tokens of a name."""
    with _open(dsn) as connection:
        revoked = revoke_tokens(connection, which)
    click.echo(_to_json({"revoked": revoked}) if as_json else f"revoked {', '.join(revoked)}")


@contextmanager
def _open(dsn: str) -> Iterator[Connection]:
    try:
        with connect(dsn, application_name="celerytrail tokens") as connection:
            yield connection
    except SqlError as exc:
        raise click.ClickException(str(exc)) from exc
    except psycopg.Error as exc:
        said = (exc.diag.message_primary or str(exc)).strip()
        raise click.ClickException(
            f"{said}. Was the database migrated (`celerytrail migrate`), and may this role "
            "write its tokens?"
        ) from exc


def _to_json(value: Any) -> str:
    # Times are all that json does not know here; str gives ISO 8601 with a blank.
    return json.dumps(value, default=str)
