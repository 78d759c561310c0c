"""`celerytrail verify`: recompute the hash chain, inside the database and outside of it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from celerytrail.sql import head_file
from celerytrail.sql.checkpoint.checkpoint_file import read_place
from celerytrail.sql.checkpoint.checkpoint_watch import CheckpointPlaces
from celerytrail.sql.checkpoint.evidence import Evidence, gather
from celerytrail.sql.checkpoint.key_file import read_public
from celerytrail.sql.checkpoint.trust import Place
from celerytrail.sql.duration_option import Duration
from celerytrail.sql.errors import SqlError
from celerytrail.sql.read_model_slices import SliceFile
from celerytrail.sql.verification import EXIT_CANNOT, Verdict
from celerytrail.sql.verify import OUTSIDE, SQL, Verification, verify_ledger
from celerytrail.sql.verify_daemon import Schedule, VerifyDaemon
from celerytrail.sql.verify_progress import shown_progress
from celerytrail.sql.verify_report import one_line, report_lines

_FILE = click.Path(dir_okay=False, path_type=Path)


class CannotVerifyAnything(click.ClickException):
    """Ends the command with the exit code that says nothing was verified."""

    exit_code = EXIT_CANNOT


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option(
    "--way",
    type=click.Choice([SQL, OUTSIDE, "both"]),
    default="both",
    show_default=True,
    help="Inside the database, outside of it (the one to believe against its administrator), or both.",
)
@click.option("--chain", type=click.IntRange(0), help="Only this chain.")
@click.option("--since", type=_FILE, help="Read only what came after the heads in this file.")
@click.option("--against", type=_FILE, help="The heads in this file must still be on the chain.")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A checkpoint file, or a directory of notes; all of it must be on the chain. Repeatable."
    " With --every it is read again each time.",
)
@click.option(
    "--pubkey",
    "public_keys",
    type=_FILE,
    multiple=True,
    help="The key that signed them; who followed it is read from the notes.",
)
@click.option("--witness-pubkey", type=_FILE, help="Only checkpoints that this key cosigned vouch.")
@click.option("--head-out", type=_FILE, help="Write the verified heads here, to be kept outside.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--every", type=Duration(0.05), help="Verify what is new every SECONDS.")
@click.option(
    "--full-every",
    type=Duration(min=0, min_open=True),
    default=1440.0,
    show_default=True,
    help="With --every: verify everything every MINUTES.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Sessions that share the work in the database, and processes outside of it.",
)
@click.option(
    "--read-model",
    is_flag=True,
    help="Compare what the dashboards read with the ledger too. Once, not with --every.",
)
@click.option(
    "--read-model-slices",
    "slice_file",
    type=_FILE,
    help="Keep what is found in each slice of the read model in this file; run again to go on from there.",
)
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show on stderr how far it has come.  [on a terminal]",
)
def verify(
    dsn: str,
    way: str,
    chain: int | None,
    since: Path | None,
    against: Path | None,
    checkpoints: tuple[Path, ...],
    public_keys: tuple[Path, ...],
    witness_pubkey: Path | None,
    head_out: Path | None,
    as_json: bool,
    every: float | None,
    full_every: float,
    jobs: int,
    read_model: bool,
    slice_file: Path | None,
    progress: bool | None,
) -> None:
    """Verify that the ledger is what was committed, byte for byte and in order.

    \b
    Exit codes:
      0  clean against the given head file or checkpoints
      1  broken, or the objects that guard the ledger were changed
      2  wrong usage
      3  INTERNAL CONSISTENCY ONLY: no head kept outside was given, or it has no link of a chain
      4  could not be verified, or not against the checkpoints
      5  the chain is in order, and the read model differs from it (--read-model)
    """
    if since is not None and against is not None:
        raise click.UsageError("--since and --against exclude each other: --since compares too.")
    if bool(checkpoints) != bool(public_keys) or (witness_pubkey and not checkpoints):
        raise click.UsageError("--checkpoint and --pubkey go together, --witness-pubkey with both.")
    if checkpoints and every is None and (since or against):
        raise click.UsageError("--checkpoint is in place of --since and --against.")
    if read_model and every is not None:
        raise click.UsageError("--read-model and --every exclude each other.")
    if slice_file is not None and not read_model:
        raise click.UsageError("--read-model-slices goes with --read-model.")
    ways = (SQL, OUTSIDE) if way == "both" else (way,)
    kept_file = since or against
    try:
        kept = head_file.read(kept_file) if kept_file is not None else None
        if every is not None:
            places = CheckpointPlaces(checkpoints, public_keys, witness_pubkey)
            VerifyDaemon(
                dsn,
                Schedule(every, full_every * 60),
                ways=ways,
                chain=chain,
                jobs=jobs,
                kept=kept,
                head_out=head_out,
                checkpoints=places if checkpoints else None,
                say=lambda result: _say(result, as_json),
                complain=lambda text: click.echo(text, err=True),
            ).run()
            return
        evidence = _evidence(checkpoints, public_keys, witness_pubkey) if checkpoints else None
        with shown_progress(progress) as shown:
            result = verify_ledger(
                dsn,
                ways=ways,
                chain=chain,
                since=kept if since is not None else None,
                against=kept if against is not None else None,
                evidence=evidence,
                jobs=jobs,
                read_model=read_model,
                slices=SliceFile(slice_file) if slice_file is not None else None,
                progress=shown,
            )
        if head_out is not None and result.verdict is not Verdict.BROKEN:
            head_file.write(head_out, result.heads)
    except SqlError as error:
        if as_json:
            said = {"verdict": "unknown", "exit_code": EXIT_CANNOT, "error": str(error)}
            click.echo(json.dumps(said))
        raise CannotVerifyAnything(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.as_json()))
    else:
        click.echo("\n".join(report_lines(result)))
    raise SystemExit(result.exit_code)


def _evidence(
    checkpoints: tuple[Path, ...], public_keys: tuple[Path, ...], witness: Path | None
) -> Evidence:
    return gather(
        [Place(path, read_place(path)) for path in checkpoints],
        [read_public(path) for path in public_keys],
        read_public(witness) if witness is not None else None,
    )


def _say(result: Verification, as_json: bool) -> None:
    click.echo(json.dumps(result.as_json()) if as_json else one_line(result))
