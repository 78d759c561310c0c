"""`celerytrail erase`: deletes the user data of tasks, and says so in the chain."""

from __future__ import annotations

import getpass
import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Any, TextIO

import click

from celerytrail.sql.erasure import (
    Actor,
    Connection,
    Erased,
    Progress,
    Selection,
    erasable_kinds,
    erase,
    erase_reasons,
    eraser,
    finish,
    open_erasures,
    preview,
)
from celerytrail.sql.utf8_text import can_be_stored, utf8_text

_TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


def operator() -> str:
    """Return who runs this: the name the operating system has, or the number where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


@click.command("erase")
@click.option("--dsn", envvar="CELERYTRAIL_DSN", required=True, help="Postgres connection string.")
@click.option(
    "--task", "tasks", multiple=True, metavar="ID", callback=utf8_text, help="A task; repeatable."
)
@click.option(
    "--tasks-from",
    type=click.File("r", encoding="utf-8-sig"),
    help="A file with one task id a line; - is stdin.",
)
@click.option("--namespace", callback=utf8_text, help="Only of this service.namespace.")
@click.option("--service", callback=utf8_text, help="Only of this service.name.")
@click.option("--environment", callback=utf8_text, help="Only of this deployment.environment.name.")
@click.option("--task-name", callback=utf8_text, help="Tasks of this name.")
@click.option("--state", callback=utf8_text, help="Tasks in this state.")
@click.option("--from", "from_time", type=_TIMES, help="Tasks whose last event is not before; UTC.")
@click.option("--to", "to_time", type=_TIMES, help="Tasks whose last event is before; UTC.")
@click.option(
    "--older-than-days", type=click.IntRange(0, 36500), help="Tasks without an event for so long."
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    callback=utf8_text,
    help="args, kwargs, result ...; repeatable. Default: all.",
)
@click.option(
    "--action", "actions", multiple=True, type=click.UUID, help="The reason of this action instead."
)
@click.option(
    "--actor",
    callback=utf8_text,
    default=operator,
    show_default="who you are",
    help="Whom the chain names.",
)
@click.option(
    "--reason", callback=utf8_text, help="Why, in words that can be erased too: see --action."
)
@click.option("--dry-run", is_flag=True, help="Only say how much it would be.")
@click.option("--resume", is_flag=True, help="Only finish what was broken off before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def erase_command(
    dsn: str,
    tasks: tuple[str, ...],
    tasks_from: TextIO | None,
    namespace: str | None,
    service: str | None,
    environment: str | None,
    task_name: str | None,
    state: str | None,
    from_time: datetime | None,
    to_time: datetime | None,
    older_than_days: int | None,
    kinds: tuple[str, ...],
    actions: tuple[uuid.UUID, ...],
    actor: str,
    reason: str | None,
    dry_run: bool,
    resume: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Erase arguments, results, exceptions, stamps, message bodies and operators' words of tasks.

    Rows of the ledger stay, and it stays verifiable: it holds salted hashes of these only, and the
    salts go too. Who erased which tasks and why is in the chain. What comes late for an erased task is
    refused. An erasure that was broken off is finished first. Run it as celerytrail_maintainer.
    """
    if older_than_days is not None and to_time is not None:
        raise click.UsageError("--older-than-days and --to exclude each other.")
    if older_than_days is not None:
        to_time = datetime.now(timezone.utc) - timedelta(days=older_than_days)
    ids = _ids(tasks, tasks_from)
    filters = (namespace, service, environment, task_name, state, from_time, to_time)
    if ids is not None and any(value is not None for value in filters[3:]):
        raise click.UsageError("Choose tasks by --task and --tasks-from, or by a filter.")
    chosen = ids is not None or any(value is not None for value in filters)
    if actions and (chosen or dry_run or resume or kinds):
        raise click.UsageError("--action stands alone, with --reason, --actor, --yes and --json.")
    if not (chosen or actions or resume):
        raise click.UsageError(
            "Say what: --task, --tasks-from, a filter such as --older-than-days, --action, --resume."
        )
    who = Actor(actor, reason=reason)
    with eraser(dsn) as connection:
        if actions:
            _confirm(f"Erase the reasons of {len(actions)} actions?", yes)
            _tell([], erase_reasons(connection, actions, who), as_json)
            return
        known = erasable_kinds(connection)
        unknown = sorted(set(kinds) - set(known))
        if unknown:
            raise click.UsageError(f"--kind {unknown[0]}: there are {', '.join(known)}.")
        selection = Selection(
            kinds or known,
            ids,
            namespace,
            service,
            environment,
            task_name,
            state,
            _utc(from_time),
            _utc(to_time),
        )
        if dry_run:
            _say_preview(connection, selection, as_json)
            return
        if chosen and not yes:
            found = preview(connection, selection)
            _confirm(
                f"Erase {found.payloads} payloads of {found.tasks} tasks, for good?",
                yes,
                needed=found.tasks > 0,
            )
        finished = _finish_open(connection, who, as_json)
        done = None
        if chosen:
            with _progress(shown=not as_json and sys.stderr.isatty()) as progress:
                done = erase(connection, selection, who, progress)
    _tell(finished, done, as_json)


def _ids(tasks: tuple[str, ...], tasks_from: TextIO | None) -> tuple[str, ...] | None:
    try:
        given = [*tasks, *([] if tasks_from is None else tasks_from)]
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"--tasks-from: what it names is not text in UTF-8: {error}."
        ) from error
    found = tuple(dict.fromkeys(stripped for one in given if (stripped := one.strip())))
    if not found and (tasks or tasks_from is not None):
        raise click.UsageError("There is no task id in what --task and --tasks-from name.")
    wrong = next((one for one in found if not can_be_stored(one)), None)
    if wrong is not None:
        raise click.UsageError(
            f"--tasks-from: {wrong!r} holds a NUL character: no task has such an id."
        )
    return found or None


def _utc(time: datetime | None) -> datetime | None:
    if time is None or time.tzinfo is not None:
        return time
    return time.replace(tzinfo=timezone.utc)


def _confirm(question: str, yes: bool, *, needed: bool = True) -> None:
    if yes or not needed:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to ask: add --yes.")
    click.confirm(question, abort=True, err=True)


def _finish_open(connection: Connection, who: Actor, as_json: bool) -> list[Erased]:
    finished = []
    for broken_off in open_erasures(connection):
        if not as_json:
            click.echo(
                f"finishing the erasure {broken_off.erasure_id} that {broken_off.actor} began at "
                f"{broken_off.begun_at:%Y-%m-%d %H:%M:%S %Z}: {broken_off.remaining} tasks left"
            )
        done = finish(connection, broken_off.erasure_id, who)
        if done is not None:
            finished.append(done)
    return finished


def _say_preview(connection: Connection, selection: Selection, as_json: bool) -> None:
    found = preview(connection, selection)
    waiting = open_erasures(connection)
    if as_json:
        told = {"dry_run": True, **asdict(found), "broken_off": len(waiting)}
        click.echo(json.dumps(told))
        return
    click.echo(f"would erase {found.payloads} payloads of {found.tasks} tasks")
    if waiting:
        click.echo(f"would first finish {len(waiting)} erasures that were broken off")


def _tell(finished: list[Erased], done: Erased | None, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "finished": [_as_dict(one) for one in finished],
                    "erased": None if done is None else _as_dict(done),
                }
            )
        )
        return
    for one in [*finished, *([] if done is None else [done])]:
        places = ", ".join(f"{number} of {place}" for place, number in sorted(one.counts.items()))
        click.echo(f"erased {one.tasks} tasks ({places or 'nothing was there'}): {one.erasure_id}")
    if not finished and done is None:
        click.echo("nothing was broken off")


def _as_dict(erased: Erased) -> dict[str, Any]:
    return {"erasure_id": str(erased.erasure_id), "tasks": erased.tasks, "counts": erased.counts}


@contextmanager
def _progress(*, shown: bool) -> Iterator[Progress | None]:
    if not shown:
        yield None
        return
    bars: list[Any] = []

    def draw(done: int, total: int) -> None:
        if not bars:
            bars.append(
                click.progressbar(length=max(total, 1), file=sys.stderr, label="tasks").__enter__()
            )
        bars[0].update(min(done, bars[0].length) - bars[0].pos)

    try:
        yield draw
    finally:
        for bar in bars:
            bar.__exit__(None, None, None)
