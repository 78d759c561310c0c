"""``celerytrail keys``: make the keys that seal message bodies, and name one."""

from __future__ import annotations

from pathlib import Path

import click

from celerytrail.exporter.key_files import (
    PRIVATE_FILE,
    PSK_FILE,
    PUBLIC_FILE,
    KeyFileError,
    generate,
    read_private_key,
    read_public_key,
)
from celerytrail.exporter.sealed import SealedError, key_id


@click.group()
def keys() -> None:
    """Make and show the keys that seal message bodies for the action API."""


@keys.command(name="generate")
@click.option(
    "--out",
    "directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the three files.",
)
def generate_keys(directory: Path) -> None:
    """Make an X25519 pair and a seal psk. Existing files are never overwritten."""
    try:
        kid = key_id(generate(directory))
    except (KeyFileError, SealedError) as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"key id {kid.hex()}")
    click.echo("")
    click.echo("every shipper of the deployment:")
    click.echo(f"  CELERYTRAIL_SEAL_PUBLIC_KEY_FILE={directory / PUBLIC_FILE}")
    click.echo(f"  CELERYTRAIL_SEAL_PSK_FILE={directory / PSK_FILE}")
    click.echo("the action API, and nothing else:")
    click.echo(f"  {directory / PRIVATE_FILE}")
    click.echo(f"  {directory / PSK_FILE}")
    click.echo("")
    click.echo("The private key opens every body sealed so far: move it away from this host, and")
    click.echo("destroy it when the last body sealed with it is past retention.")


@keys.command(name="show-kid")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def show_kid(file: Path) -> None:
    """Print the id of the key in FILE, a public or private key in PEM."""
    try:
        try:
            public = read_public_key(file)
        except KeyFileError:
            public = read_private_key(file).public_key().public_bytes_raw()
        click.echo(key_id(public).hex())
    except (KeyFileError, SealedError) as exc:
        raise click.ClickException(str(exc)) from exc
