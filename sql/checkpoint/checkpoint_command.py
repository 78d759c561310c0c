"""`celerytrail checkpoint`: sign where the chains stand, and keep that outside the database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from celerytrail.sql.checkpoint import key_file
from celerytrail.sql.checkpoint.checkpoint_daemon import CheckpointDaemon, Schedule
from celerytrail.sql.checkpoint.delivery import OK, Delivery
from celerytrail.sql.checkpoint.destinations.destination import Destination
from celerytrail.sql.checkpoint.destinations.file_copy import FileCopy
from celerytrail.sql.checkpoint.destinations.object_store import ObjectStore
from celerytrail.sql.checkpoint.destinations.otlp_log import OtlpLog
from celerytrail.sql.checkpoint.errors import KeyUnusable
from celerytrail.sql.checkpoint.headers_command import headers
from celerytrail.sql.checkpoint.keys_command import keys
from celerytrail.sql.duration_option import Duration
from celerytrail.sql.errors import SqlError
from celerytrail.sql.verification import EXIT_CANNOT, Progress

EXIT_REFUSED = 1
EXIT_NOT_EVERYWHERE = 3

_FILE = click.Path(dir_okay=False, path_type=Path)


class CannotCheckpoint(click.ClickException):
    """Ends the command with the exit code that says nothing was signed."""

    exit_code = EXIT_CANNOT


@click.group(invoke_without_command=True)
@click.option("--dsn", envvar="CELERYTRAIL_DSN", help="Postgres, as celerytrail_checkpointer.")
@click.option("--key", type=_FILE, help="The private key, of `checkpoint keys generate`.")
@click.option(
    "--file", "path", type=_FILE, help="The checkpoint file. What was signed is known by it."
)
@click.option("--begin", is_flag=True, help="Make the file where there is none: the first start.")
@click.option(
    "--copy", "copies", type=_FILE, multiple=True, help="A second file, on another host's mount."
)
@click.option(
    "--otlp", "endpoints", multiple=True, help="An OTLP/HTTP endpoint: https://host:4318."
)
@click.option(
    "--otlp-header-file",
    type=_FILE,
    help="Headers of OTLP requests, `Name: value` a line, such as an Authorization.",
)
@click.option(
    "--store",
    "stores",
    multiple=True,
    help="An object store: s3://bucket/path, gs://, az://, file://.",
)
@click.option("--allow-one", is_flag=True, help="Do without a second place.")
@click.option(
    "--every",
    type=Duration(0.05),
    default=10.0,
    show_default=True,
    help="SECONDS between two.",
)
@click.option(
    "--blocks",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Sign earlier, after so many new blocks.",
)
@click.option(
    "--timeout",
    type=Duration(0.05, 600),
    default=5.0,
    show_default=True,
    help="SECONDS that a place may take to answer.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--once", is_flag=True, help="Sign once and end.")
@click.pass_context
def checkpoint(
    context: click.Context,
    dsn: str | None,
    key: Path | None,
    path: Path | None,
    begin: bool,
    copies: tuple[Path, ...],
    endpoints: tuple[str, ...],
    otlp_header_file: Path | None,
    stores: tuple[str, ...],
    allow_one: bool,
    every: float,
    blocks: int,
    timeout: float,
    jobs: int,
    once: bool,
) -> None:
    """Sign where each chain stands, every few seconds, and publish that to at least two places.

    Before it signs it recomputes everything since its last signature, and refuses what does not
    continue it. Run it under the role celerytrail_checkpointer, away from database and sink.

    \b
    Exit codes of --once:
      0  signed, and every place has it
      1  REFUSED: the ledger does not continue what was signed
      2  wrong usage
      3  signed, and some place did not take it yet
      4  nothing could be signed
    """
    if context.invoked_subcommand is not None:
        return
    if dsn is None or key is None or path is None:
        raise click.UsageError("--dsn (or CELERYTRAIL_DSN), --key and --file are needed.")
    if not (copies or endpoints or stores or allow_one):
        raise click.UsageError(
            "Name a second place with --copy, --otlp or --store: whoever can cut the database and the"
            " file back together would not be seen. --allow-one does without."
        )
    try:
        destinations: list[Destination] = [FileCopy(copy) for copy in copies]
        found = _headers(otlp_header_file)
        destinations += [OtlpLog(endpoint, found, timeout) for endpoint in endpoints]
        destinations += [ObjectStore(url, timeout) for url in stores]
        with (
            closing(Delivery(path, destinations, timeout)) as delivery,
            _progress(shown=sys.stderr.isatty()) as progress,
        ):
            daemon = CheckpointDaemon(
                dsn,
                path,
                key_file.read_private(key),
                Schedule(every, blocks),
                delivery,
                begin=begin,
                jobs=jobs,
                say=click.echo,
                complain=lambda text: click.echo(text, err=True),
                progress=progress,
            )
            if not once:
                daemon.run()
                return
            done = daemon.once()
    except SqlError as error:
        raise CannotCheckpoint(str(error)) from error
    if done.refused:
        raise SystemExit(EXIT_REFUSED)
    if done.signed is None:
        raise SystemExit(EXIT_CANNOT)
    if any(said != OK for said in done.published.values()):
        raise SystemExit(EXIT_NOT_EVERYWHERE)


checkpoint.add_command(keys)
checkpoint.add_command(headers)


def _headers(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"the header file {path} cannot be read") from error
    found = {}
    for line in filter(None, map(str.strip, lines)):
        name, colon, value = line.partition(":")
        if not colon or not name.strip().isascii() or not value.strip().isprintable():
            raise KeyUnusable(f"{path} holds a line that is no header: Name: value")
        found[name.strip()] = value.strip()
    return found


@contextmanager
def _progress(*, shown: bool) -> Iterator[Progress]:
    """Give a function that says how far the first verification is: a bar, or a line now and then."""
    bars: list[Any] = []
    told = [0]

    def draw(done: int, total: int) -> None:
        if not shown:
            # In a log: a line each tenth, and none where there is little to read.
            tenth = done * 10 // max(total, 1)
            if total >= 500_000 and tenth > told[0]:
                told[0] = tenth
                click.echo(f"verified {done:,} of {total:,} rows", err=True)
            return
        if not bars:
            bars.append(
                click.progressbar(
                    length=max(total, 1), file=sys.stderr, label="verifying"
                ).__enter__()
            )
        bars[0].update(min(done, bars[0].length) - bars[0].pos)

    try:
        yield draw
    finally:
        for bar in bars:
            bar.__exit__(None, None, None)
