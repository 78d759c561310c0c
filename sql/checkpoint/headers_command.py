"""`celerytrail checkpoint headers`: write the headers of blocks for a witness without a database."""

from __future__ import annotations

from pathlib import Path

import click
import psycopg

from celerytrail.sql.checkpoint.headers import read_headers
from celerytrail.sql.connection import describe_dsn
from celerytrail.sql.errors import SqlError
from celerytrail.sql.named_queries import queries
from celerytrail.sql.snapshot import snapshot, what_failed


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option("--chain", type=click.IntRange(0), help="Only this chain.")
@click.option(
    "--from-n",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Only blocks after this one.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, one JSON array a line.",
)
def headers(dsn: str, chain: int | None, from_n: int, out: Path) -> None:
    """Write what the hash of each block covers, and the hash: about 250 bytes a block, no row."""
    written = 0
    try:
        with snapshot(dsn) as connection, out.open("w", encoding="ascii") as file:
            heads = connection.execute(queries("verify")["sql_chains"]).fetchall()
            for number in [row[0] for row in heads] if chain is None else [chain]:
                for header in read_headers(connection, number, from_n, 2**63 - 1):
                    file.write(f"{header.line()}\n")
                    written += 1
    except OSError as error:
        raise click.ClickException(f"cannot write {out}: {error.strerror}") from error
    except psycopg.Error as error:
        raise click.ClickException(
            f"cannot read the ledger at {describe_dsn(dsn)}: {what_failed(error)}"
        ) from error
    except SqlError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{written:,} headers in {out}")
