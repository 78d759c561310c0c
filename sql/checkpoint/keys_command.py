"""`celerytrail checkpoint keys`: make the key of a checkpointer or witness, and change it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from celerytrail.sql.checkpoint.checkpoint_file import opened
from celerytrail.sql.checkpoint.checkpointer import last_signed
from celerytrail.sql.checkpoint.errors import CheckpointError, FileUnusable
from celerytrail.sql.checkpoint.key_file import PRIVATE_FILE, PUBLIC_FILE, read_private, write_key
from celerytrail.sql.checkpoint.note_keys import new_key
from celerytrail.sql.checkpoint.statement import KeyChange

_FILE = click.Path(dir_okay=False, path_type=Path)
_out = click.option(
    "--out",
    "directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the two files.",
)


@click.group()
def keys() -> None:
    """Make and change the key that signs checkpoints, or that of a witness."""


@keys.command()
@_out
@click.option(
    "--name", default="celerytrail", show_default=True, help="What signature lines call it."
)
def generate(directory: Path, name: str) -> None:
    """Make an Ed25519 key pair. Existing files are never overwritten."""
    try:
        key = new_key(name)
        write_key(directory, key)
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"key id {key.verifier.key_id}")
    click.echo(f"  {directory / PRIVATE_FILE}: for the one process that signs with it")
    click.echo(f"  {directory / PUBLIC_FILE}: for whoever verifies; keep it away from the database")


@keys.command()
@click.option("--key", "old_path", required=True, type=_FILE, help="The private key of until now.")
@_out
@click.option("--file", "path", required=True, type=_FILE, help="The checkpoint file.")
@click.option("--name", help="What signature lines call the new key; as the old one by default.")
def rotate(old_path: Path, directory: Path, path: Path, name: str | None) -> None:
    """Make a new key, and let the old one sign that it is the next.

    Both keys sign the change, which is added to the checkpoint file. The checkpointer stops signing
    at once: start it with the new key, which also publishes the change. The old public key goes on
    to verify everything.
    """
    try:
        old = read_private(old_path)
        new = new_key(name or old.name)
        with opened(path, begin=False) as file:
            last = last_signed(file, old)
            if last is None:
                raise FileUnusable(f"{path} has no checkpoint yet: use another key from the start")
            now = datetime.now(timezone.utc)
            if now < last.time:
                raise FileUnusable(f"{path} was signed at {last.time.isoformat()}, later than now")
            write_key(directory, new)
            change = KeyChange(last.ledger_id, now, old.verifier, new.verifier)
            file.append(new.add_to(old.sign(str(change))))
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{new.verifier.key_id} signs after {old.verifier.key_id}")
    click.echo(
        f"  start the checkpointer with --key {directory / PRIVATE_FILE}, then destroy {old_path}"
    )
