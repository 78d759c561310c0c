"""`celerytrail retain`: drops whole days that are old, and says so in the chain."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from celerytrail.sql.duration_option import Duration
from celerytrail.sql.erase_command import operator
from celerytrail.sql.erasure import Actor
from celerytrail.sql.retention import (
    Announcement,
    Connection,
    Dropped,
    DroppedByAnother,
    OldDay,
    announce,
    announcement,
    drop_day_within,
    forget,
    old_days,
    retainer,
    wait_for_checkpoint,
)
from celerytrail.sql.utf8_text import utf8_text

EXIT_UNFINISHED = 3
"""A day is announced and not dropped: no checkpoint came, or somebody read all the time."""


@dataclass(frozen=True, slots=True)
class _Waits:
    checkpoint_seconds: float
    lock_seconds: float
    without_checkpoint: bool


@click.command()
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    envvar="CELERYTRAIL_RETAIN_DAYS",
    required=True,
    help="Full UTC days to keep before today.",
)
@click.option(
    "--checkpoint-seconds",
    type=Duration(0, 86400),
    default=300.0,
    show_default=True,
    help="How long to wait for a checkpoint that covers the announcement of each day.",
)
@click.option(
    "--without-checkpoint", is_flag=True, help="Drop though none covers it. The chain says so."
)
@click.option(
    "--lock-seconds",
    type=Duration(0, 86400),
    default=120.0,
    show_default=True,
    help="How long to try again while somebody reads.",
)
@click.option(
    "--actor",
    callback=utf8_text,
    default=operator,
    show_default="who you are",
    help="Whom the chain names.",
)
@click.option("--reason", callback=utf8_text, help="Why, in words that can be erased.")
@click.option("--dry-run", is_flag=True, help="Only say which days.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retain(
    dsn: str,
    days: int,
    checkpoint_seconds: float,
    without_checkpoint: bool,
    lock_seconds: float,
    actor: str,
    reason: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Drop all events and payloads of whole UTC days older than --days, at least one.

    Each day is announced in the chain; when a published checkpoint covers that, the day is dropped
    and the chain says so; then tasks without an event left go from the read model. A run that was
    killed is finished by the next one. Run it as celerytrail_maintainer.

    \b
    Exit codes:
      0  nothing older is left
      1  failed
      2  wrong usage
      3  a day is announced and not dropped yet
    """
    who = Actor(actor, reason=reason)
    waits = _Waits(checkpoint_seconds, lock_seconds, without_checkpoint)
    with retainer(dsn) as connection:
        found = old_days(connection, days)
        if dry_run:
            _tell(found, [], None, None, as_json, dry_run=True)
            return
        if found and not yes:
            _confirm(found)
        dropped: list[Dropped] = []
        unfinished = None
        for old in found:
            try:
                done = _drop(connection, old, who, waits, as_json)
            except DroppedByAnother:
                _say(f"{old.day}: another run dropped it", as_json)
                continue
            if isinstance(done, str):
                unfinished = f"{old.day}: {done}"
                break
            dropped.append(done)
            if not as_json:
                click.echo(
                    f"{done.day}: dropped {done.rows} events of {done.groups} blocks"
                    f" in {done.seconds:.2f} s"
                )
        # Also where nothing was dropped now: a run before may have been killed here.
        forgotten = forget(connection, say=lambda text: _say(text, as_json))
    _tell(found, dropped, forgotten, unfinished, as_json)
    if unfinished is not None:
        raise SystemExit(EXIT_UNFINISHED)


def _drop(
    connection: Connection, old: OldDay, who: Actor, waits: _Waits, as_json: bool
) -> Dropped | str:
    announce(connection, old.day, who)
    if not waits.without_checkpoint:
        if announcement(connection, old.day) is Announcement.WAITING:
            _say(f"{old.day}: announced; waiting for a checkpoint", as_json)
        if not wait_for_checkpoint(connection, old.day, waits.checkpoint_seconds):
            return (
                f"no published checkpoint covers its announcement after {waits.checkpoint_seconds:g}"
                " s: is `celerytrail checkpoint` running? The next run goes on"
            )
    dropped = drop_day_within(
        connection,
        old.day,
        waits.lock_seconds,
        without_checkpoint=waits.without_checkpoint,
        say=lambda text: _say(text, as_json),
    )
    if dropped is None:
        return (
            f"somebody read the tables all the time for {waits.lock_seconds:g} s: is a verification"
            " or a dump running? The next run goes on"
        )
    return dropped


def _confirm(found: list[OldDay]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to ask: add --yes.")
    rows = sum(old.rows for old in found)
    click.confirm(
        f"Drop {len(found)} days, {found[0].day} to {found[-1].day}, {rows} events, for good?",
        abort=True,
        err=True,
    )


def _say(text: str, as_json: bool) -> None:
    if not as_json:
        click.echo(text, err=True)


def _tell(
    found: list[OldDay],
    dropped: list[Dropped],
    forgotten: Mapping[str, int] | None,
    unfinished: str | None,
    as_json: bool,
    *,
    dry_run: bool = False,
) -> None:
    if as_json:
        told: dict[str, Any] = {
            "dry_run": dry_run,
            "days": [
                {
                    "day": old.day.isoformat(),
                    "groups": old.groups,
                    "rows": old.rows,
                    "announced": old.announced,
                }
                for old in found
            ],
            "dropped": [
                {
                    "day": day.day.isoformat(),
                    "groups": day.groups,
                    "rows": day.rows,
                    "seconds": round(day.seconds, 6),
                }
                for day in dropped
            ],
            "forgotten": dict(forgotten or {}),
            "unfinished": unfinished,
        }
        click.echo(json.dumps(told))
        return
    if dry_run:
        for old in found:
            announced = ", announced" if old.announced else ""
            click.echo(f"would drop {old.day}: {old.rows} events of {old.groups} blocks{announced}")
        if not found:
            click.echo("no day is old enough")
        return
    if unfinished is not None:
        click.echo(f"Error: {unfinished}", err=True)
    if forgotten:
        gone = ", ".join(f"{number} {place}" for place, number in forgotten.items() if number)
        click.echo(f"the read model forgot: {gone or 'nothing'}")
    if not dropped and unfinished is None:
        click.echo("no day is old enough")
