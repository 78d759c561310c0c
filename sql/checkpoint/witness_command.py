"""`celerytrail witness`: sign the newest checkpoint a second time, after checking that it continues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg

from celerytrail.sql.checkpoint import key_file
from celerytrail.sql.checkpoint.checkpoint_file import read_place
from celerytrail.sql.checkpoint.errors import FileUnusable, NotContinued
from celerytrail.sql.checkpoint.headers import Header, read_headers, read_headers_file
from celerytrail.sql.checkpoint.trust import Place
from celerytrail.sql.checkpoint.witnessing import ReadHeaders, cosign
from celerytrail.sql.connection import describe_dsn
from celerytrail.sql.errors import SqlError
from celerytrail.sql.snapshot import snapshot, what_failed
from celerytrail.sql.verification import EXIT_CANNOT

_FILE = click.Path(dir_okay=False, path_type=Path)


class CannotWitness(click.ClickException):
    """Ends the command with the exit code that says nothing could be compared."""

    exit_code = EXIT_CANNOT


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", help="Postgres, as celerytrail_verifier.")
@click.option("--headers", "headers_path", type=_FILE, help="Or headers, of `checkpoint headers`.")
@click.option(
    "--checkpoint",
    "place",
    required=True,
    type=click.Path(path_type=Path),
    help="Where the checkpointer's notes are: a file, or a directory of notes.",
)
@click.option(
    "--pubkey",
    "public_keys",
    required=True,
    multiple=True,
    type=_FILE,
    help="The checkpointer's key.",
)
@click.option("--key", required=True, type=_FILE, help="The witness's own private key.")
@click.option(
    "--file", "own", required=True, type=_FILE, help="What this witness cosigned: his memory."
)
@click.option("--begin", is_flag=True, help="Make that file where there is none: the first start.")
@click.option("--accept-epoch", type=click.IntRange(2), help="A person looked at this new epoch.")
def witness(
    dsn: str | None,
    headers_path: Path | None,
    place: Path,
    public_keys: tuple[Path, ...],
    key: Path,
    own: Path,
    begin: bool,
    accept_epoch: int | None,
) -> None:
    """Cosign the newest checkpoint, if every block since the last cosigned one leads to it.

    Run it by a timer, by somebody else than who runs database and checkpointer. The cosigned note is
    added to --file; give that to `celerytrail verify --checkpoint` with --witness-pubkey.

    \b
    Exit codes:
      0  cosigned, or the newest one was already
      1  REFUSED: the checkpoint does not continue what was cosigned
      2  wrong usage
      4  nothing could be compared
    """
    if dsn is None and headers_path is None:
        raise click.UsageError("Give --dsn (or CELERYTRAIL_DSN), or --headers.")
    try:
        with _reader(dsn, headers_path) as read:
            done = cosign(
                Place(place, read_place(place)),
                [key_file.read_public(path) for path in public_keys],
                own,
                key_file.read_private(key),
                read,
                begin=begin,
                accept_epoch=accept_epoch,
            )
    except NotContinued as error:
        click.echo(f"REFUSED: {error}", err=True)
        raise SystemExit(1) from error
    except SqlError as error:
        raise CannotWitness(str(error)) from error
    where = ", ".join(f"chain {head.chain} at n {head.n}" for head in done.checkpoint.chains)
    what = "was cosigned before" if done.note is None else f"cosigned after {done.blocks:,} blocks"
    click.echo(f"{done.checkpoint.time.isoformat(timespec='seconds')} {what}: {where}")


@contextmanager
def _reader(dsn: str | None, path: Path | None) -> Iterator[ReadHeaders]:
    if path is not None:
        yield lambda chain, from_n, to_n: _from_file(path, chain, from_n, to_n)
        return
    assert dsn is not None  # the command demands one of the two
    with snapshot(dsn) as connection:
        try:
            yield lambda chain, from_n, to_n: read_headers(connection, chain, from_n, to_n)
        except psycopg.Error as error:
            raise FileUnusable(
                f"cannot read the ledger at {describe_dsn(dsn)}: {what_failed(error)}"
            ) from error


def _from_file(path: Path, chain: int, from_n: int, to_n: int) -> Iterable[Header]:
    try:
        with path.open(encoding="ascii") as file:
            for header in read_headers_file(file, path):
                if header.chain == chain and from_n < header.n <= to_n:
                    yield header
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnusable(f"cannot read the headers file {path}") from error
