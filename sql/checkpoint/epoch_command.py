"""`celerytrail epoch`: after a restore or fail-over, say so, and let checkpoints go on."""

from __future__ import annotations

from pathlib import Path

import click

from celerytrail.sql.checkpoint import key_file
from celerytrail.sql.checkpoint.epochs import begin_epoch
from celerytrail.sql.errors import SqlError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def epoch() -> None:
    """Tell checkpoints of a restore or fail-over of the ledger."""


@epoch.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option("--key", required=True, type=_FILE, help="The checkpointer's private key.")
@click.option("--file", "path", required=True, type=_FILE, help="The checkpoint file.")
@click.option("--by", required=True, help="Who says so.")
@click.option("--reason", required=True, help="What happened, in one line.")
@click.option(
    "--despite-faults", is_flag=True, help="Also where the ledger is broken in itself; it is noted."
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
def new(
    dsn: str, key: Path, path: Path, by: str, reason: str, despite_faults: bool, jobs: int
) -> None:
    """Begin a new epoch after the last checkpoint in the file.

    The whole ledger is verified first. The signed statement says where each chain stood, up to where
    what was signed still holds, and where the chain stands now; every verification shows it from
    then on. The checkpointer goes on by itself.
    """
    try:
        begun = begin_epoch(
            dsn,
            path,
            key_file.read_private(key),
            by=by,
            reason=reason,
            despite_faults=despite_faults,
            jobs=jobs,
        )
    except SqlError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"epoch {begun.epoch} begins, by {begun.by}: {begun.reason}")
    for change in begun.chains:
        click.echo(
            f"  chain {change.chain}: signed up to n {change.old.n:,}, which holds up to"
            f" n {change.kept.n:,}; it stands at n {change.new.n:,}"
        )
