"""``celery trail``: what Celery's command line shows of the agent, and how the agent gets into a worker.

Celery imports this module for each of its commands, so importing it starts nothing: it waits for a
worker or a beat.
"""

from __future__ import annotations

import json
from typing import Any

import click

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.django_settings import load_django_settings
from celerytrail.exporter.agent.errors import AgentError
from celerytrail.exporter.agent.loading import connect_gates
from celerytrail.exporter.spool.errors import SpoolError

connect_gates()

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def trail() -> None:
    """Look at the flight recorder celerytrail."""


@trail.command()
@_as_json
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show whether this environment records, what is set, and what waits in the spool."""
    from celerytrail.exporter.agent.status import read_status, status_lines

    app = _app(context)
    try:
        found = read_status(AgentConfig.of_process(), getattr(app, "main", None) or "")
    except (AgentError, SpoolError) as exc:
        if as_json:
            click.echo(json.dumps({"recording": False, "why_not": str(exc)}))
            context.exit(1)
        raise click.ClickException(str(exc)) from exc
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else "\n".join(status_lines(found)))


@trail.command()
@_as_json
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look for settings that hurt, of Celery and of the recorder; ends with 1 when there are any.

    Run it in the environment and as the user of the worker: celery -A app trail doctor.
    """
    from celerytrail.exporter.agent.doctor.examination import examine, is_well, report

    findings = examine(_app(context))
    if as_json:
        well = is_well(findings)
        click.echo(json.dumps({"ok": well, "findings": [f.to_dict() for f in findings]}, indent=2))
    else:
        click.echo("\n".join(report(findings)))
    context.exit(0 if is_well(findings) else 1)


def _app(context: click.Context) -> Any:
    # Without -A Celery makes up an app of its own, about which there is nothing to say.
    if not context.find_root().params.get("app"):
        return None
    load_django_settings()
    return getattr(context.obj, "app", None)
