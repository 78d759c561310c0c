"""`celerytrail dashboards`: writes what Grafana provisions."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_OLDEST_PYTHON = (3, 11)


@click.group()
def dashboards() -> None:
    """Write Grafana's dashboards and alert rules."""


@dashboards.command()
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("provisioning/grafana"),
    show_default=True,
    help="Where to: the folder that holds dashboards/.",
)
@click.option(
    "--runbook",
    default="docs/alerts.md",
    show_default=True,
    help="Address of the runbook that alerts link to, where your people can open it.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail where a file is not up to date.")
def build(folder: Path, runbook: str, check: bool) -> None:
    """Generate the files from their sources."""
    if sys.version_info < _OLDEST_PYTHON:
        raise click.ClickException(
            "dashboards build needs Python 3.11 or newer, as grafana-foundation-sdk does. The "
            "files it would write are in provisioning/grafana already."
        )
    # Imported here, so that the message above is what an older Python shows.
    from celerytrail.dashboards import build as builder

    if check:
        stale = builder.stale(folder, runbook)
        if stale:
            names = ", ".join(str(path) for path in stale)
            raise click.ClickException(f"not up to date: {names}; run make dashboards")
        return
    for path in builder.write(folder, runbook):
        click.echo(f"wrote {path}")
