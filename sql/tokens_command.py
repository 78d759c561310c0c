"""`celerytrail tokens`: makes, lists and revokes the tokens of the sink."""

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
from celerytrail.sql.tokens import Connection, create_token, list_tokens, revoke_tokens

_dsn = click.option(
    "--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def tokens() -> None:
    """Make, list and revoke the tokens that shippers show to the sink.

    Needs a role that may write celerytrail's tables of tokens: the one that migrated.
    """


@tokens.command()
@_dsn
@_json
@click.option("--name", required=True, help="Who will use it: a host, a team, a collector.")
@click.option("--service", required=True, help="service.name of its deployment.")
@click.option("--namespace", default="", help="service.namespace of its deployment.")
@click.option("--environment", default="", help="deployment.environment.name of its deployment.")
@click.option("--expires-in-days", type=click.IntRange(1, 36500), help="Default: never.")
def create(
    dsn: str,
    as_json: bool,
    name: str,
    service: str,
    namespace: str,
    environment: str,
    expires_in_days: int | None,
) -> None:
    """Make a token and print it. It is shown this one time: the database keeps only a hash."""
    with _open(dsn) as connection:
        made = create_token(
            connection,
            name=name,
            service=service,
            namespace=namespace,
            environment=environment,
            expires_in_days=expires_in_days,
        )
    click.echo(_to_json(asdict(made)) if as_json else made.token)


@tokens.command("list")
@_dsn
@_json
def list_command(dsn: str, as_json: bool) -> None:
    """List all tokens: id, state, name, deployment and times."""
    with _open(dsn) as connection:
        listed = list_tokens(connection)
    if as_json:
        click.echo(_to_json([asdict(token) for token in listed]))
        return
    for token in listed:
        deployment = f"{token.namespace}/{token.service}/{token.environment}"
        expires = f"expires {token.expires_at:%Y-%m-%d}" if token.expires_at else "never expires"
        click.echo(
            f"{token.token_id}  {token.state:8}  {token.name}  {deployment}  "
            f"made {token.created_at:%Y-%m-%d}  {expires}"
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
