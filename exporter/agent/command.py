"""``celery trail``: what Celery's command line shows of the agent, and how the agent gets into a worker.

Celery imports this module for each of its commands, so importing it starts nothing: it waits for a
worker or a beat.
"""

from __future__ import annotations

import click

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.errors import AgentError
from celerytrail.exporter.agent.loading import connect_gates
from celerytrail.exporter.spool.directory import spool_usage
from celerytrail.exporter.spool.election import LOCK_FILE, shipper_is_running
from celerytrail.exporter.spool.errors import SpoolError

connect_gates()


@click.group()
def trail() -> None:
    """Look at the flight recorder celerytrail."""


@trail.command()
def status() -> None:
    """Show what is set, and what lies in the spool."""
    try:
        config = AgentConfig.from_env()
        usage = spool_usage(config.spool_dir)
        lock = config.spool_dir / LOCK_FILE
        running = lock.exists() and shipper_is_running(config.spool_dir)
    except (AgentError, SpoolError) as exc:
        raise click.ClickException(str(exc)) from exc
    deployment = config.deployment
    rows = {
        "recording": "disabled (CELERYTRAIL_DISABLED)" if config.disabled else "on",
        "namespace": deployment.namespace or "-",
        "service": deployment.service,
        "environment": deployment.environment or "-",
        "endpoint": config.shown_endpoint,
        "token": "set" if config.token else "not set",
        "spool": str(config.spool_dir),
        "segments": f"{usage.segments} ({usage.bytes} of {config.spool_max_bytes} bytes)",
        "shipper": "running" if running else "not running",
    }
    for name, value in rows.items():
        click.echo(f"{name + ':':<13}{value}")
