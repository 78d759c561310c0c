"""``celerytrail retry``, ``cancel``, ``terminate``, ``purge`` and ``retry-chord``."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from celerytrail.action_api.client import picture
from celerytrail.action_api.client.calls import Calls
from celerytrail.action_api.client.errors import (
    DONE,
    REFUSED,
    UNCERTAIN,
    ClientError,
    Problem,
    SettingsError,
)
from celerytrail.action_api.client.settings import ClientSettings
from celerytrail.exporter.deployment import Deployment

Function = TypeVar("Function", bound=Callable[..., Any])

_EXIT_CODES = {"succeeded": DONE, "failed": REFUSED, "partial": UNCERTAIN, "unknown": UNCERTAIN}
SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGKILL")
_EPILOG = (
    "The API is at CELERYTRAIL_ACTIONS_URL; its token is in CELERYTRAIL_ACTIONS_TOKEN or in the file "
    "that CELERYTRAIL_ACTIONS_TOKEN_FILE names. Exit codes: 0 done, 1 refused or failed, 3 done in "
    "part or nobody knows, 4 not reached."
)


@dataclass(frozen=True, slots=True)
class _Options:
    namespace: str
    service: str | None
    environment: str
    reason: str | None
    as_json: bool


def _shared(function: Function) -> Function:
    """Add the options that every verb has."""
    options = [
        click.option(
            "--service",
            envvar="CELERYTRAIL_SERVICE",
            help="service.name of the deployment.  [the one of the token]",
        ),
        click.option("--namespace", envvar="CELERYTRAIL_NAMESPACE", default=""),
        click.option("--environment", envvar="CELERYTRAIL_ENVIRONMENT", default=""),
        click.option("--reason", help="Why; it goes into the ledger."),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command(epilog=_EPILOG)
@click.argument("task_id")
@_shared
def retry(task_id: str, **options: Any) -> None:
    """Send a task again, as a task of its own."""
    _on_task("retry", task_id, {}, _Options(**options))


@click.command(epilog=_EPILOG)
@click.argument("task_id")
@_shared
def cancel(task_id: str, **options: Any) -> None:
    """Revoke a task that has not begun."""
    _on_task("cancel", task_id, {}, _Options(**options))


@click.command(epilog=_EPILOG)
@click.argument("task_id")
@click.option("--signal", "signal_name", type=click.Choice(SIGNALS), default="SIGTERM")
@_shared
def terminate(task_id: str, signal_name: str, **options: Any) -> None:
    """Revoke a task and end the process that runs it."""
    _on_task("terminate", task_id, {"signal": signal_name}, _Options(**options))


@click.command(epilog=_EPILOG)
@click.argument("queue")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_shared
def purge(queue: str, yes: bool, **options: Any) -> None:
    """Remove the messages that wait in a queue, after a look at them."""
    _after_preview(
        "/v1/admin/preview/purge",
        "/v1/admin/purge",
        {"queue": queue},
        "Remove them?",
        lambda label, preview: picture.purge_preview(queue, label, preview),
        yes,
        _Options(**options),
    )


@click.command("retry-chord", epilog=_EPILOG)
@click.argument("group_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_shared
def retry_chord(group_id: str, yes: bool, **options: Any) -> None:
    """Send all tasks of a chord again, and its body, after a look at them."""
    _after_preview(
        "/v1/operator/preview/retry-chord",
        "/v1/operator/retry-chord",
        {"group_id": group_id},
        "Send them again?",
        lambda label, preview: picture.chord_preview(group_id, label, preview),
        yes,
        _Options(**options),
    )


def _on_task(verb: str, task_id: str, parameters: Mapping[str, str], options: _Options) -> None:
    with _errors_shown(options.as_json):
        settings = _settings()
        calls = Calls(settings)
        _, target = _deployment(calls, options)
        wish = {**target, **parameters, "task_id": task_id, **_reason(options)}
        # A key of its own, so that a second try of a lost request would be known as the same.
        answer = calls.post(f"/v1/operator/{verb}", wish, key=str(uuid.uuid4()))
        _show(answer, settings, options)


def _after_preview(
    preview_path: str,
    path: str,
    parameters: Mapping[str, str],
    question: str,
    lines: Callable[[str, Mapping[str, Any]], Iterable[str]],
    yes: bool,
    options: _Options,
) -> None:
    with _errors_shown(options.as_json):
        settings = _settings()
        calls = Calls(settings)
        label, target = _deployment(calls, options)
        found = calls.post(preview_path, {**target, **parameters})
        for line in lines(label, found["preview"]):
            click.echo(line, err=options.as_json)
        if not yes and not click.confirm(question, err=options.as_json):
            click.echo("nothing was done", err=True)
            sys.exit(REFUSED)
        wish = {
            **target,
            **parameters,
            **_reason(options),
            "confirmation": str(found["confirmation"]),
        }
        _show(calls.post(path, wish), settings, options)


def _deployment(calls: Calls, options: _Options) -> tuple[str, dict[str, str]]:
    """Return the label and the parameters of the deployment: that of the options, or the token's."""
    if options.service is not None:
        found = Deployment(options.namespace, options.service, options.environment)
    else:
        known = calls.get("/v1/viewer/whoami")["deployments"]
        if len(known) != 1:
            raise SettingsError("say which deployment: --service, --namespace, --environment")
        found = Deployment(*(known[0][name] for name in ("namespace", "service", "environment")))
    return found.label, {
        "namespace": found.namespace,
        "service": found.service,
        "environment": found.environment,
    }


def _reason(options: _Options) -> dict[str, str]:
    return {"reason": options.reason} if options.reason else {}


def _settings() -> ClientSettings:
    settings = ClientSettings.from_env(os.environ)
    if settings.in_clear:
        click.echo(f"warning: the token goes to {settings.url} unencrypted", err=True)
    return settings


def _show(answer: Mapping[str, Any], settings: ClientSettings, options: _Options) -> None:
    if options.as_json:
        click.echo(json.dumps(answer))
    else:
        for line in picture.action(answer, settings.grafana_url):
            click.echo(line)
    sys.exit(_EXIT_CODES.get(str(answer["state"]), UNCERTAIN))


@contextmanager
def _errors_shown(as_json: bool) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if as_json:
            document = error.document if isinstance(error, Problem) else {"detail": str(error)}
            click.echo(json.dumps(document))
        # What the API says can quote what others put into a message.
        click.echo(f"Error: {picture.plain(error)}", err=True)
        sys.exit(error.exit_code)
