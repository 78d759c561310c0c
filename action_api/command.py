"""``celerytrail action-api``: serve the actions of operators."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from celerytrail.action_api.config import ActionApiConfig
from celerytrail.action_api.errors import ActionApiError


@click.command("action-api")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of deployments and rights.  [CELERYTRAIL_ACTIONS_CONFIG]",
)
@click.option("--bind", help="Address and port; port 0 takes a free one.  [127.0.0.1:8080]")
@click.option(
    "--port-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the port into this file once it is open.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes.  [1]")
@click.option("--threads", type=click.IntRange(1, 500), help="Threads in each of them.  [16]")
@click.option(
    "--wait-for-database",
    is_flag=True,
    help="Start although the database cannot be reached; answer 503 until it can.",
)
@click.option("--check", is_flag=True, help="Read all settings, say what is wrong, and end.")
def action_api(
    config_file: Path | None,
    bind: str | None,
    port_file: Path | None,
    workers: int | None,
    threads: int | None,
    wait_for_database: bool,
    check: bool,
) -> None:
    """Serve retry, cancel, terminate, purge and retry-chord over HTTP.

    The database comes from CELERYTRAIL_DSN, or from the file that CELERYTRAIL_DSN_FILE names; it
    is the role celerytrail_actions that connects. Other settings are CELERYTRAIL_ACTIONS_*
    variables.
    """
    try:
        given = {"CONFIG": config_file, "BIND": bind, "WORKERS": workers, "THREADS": threads}
        settings = dict(os.environ)
        for name, value in given.items():
            if value is not None:
                settings[f"CELERYTRAIL_ACTIONS_{name}"] = str(value)
        if wait_for_database:
            settings["CELERYTRAIL_ACTIONS_WAIT_FOR_DATABASE"] = "1"
        config = ActionApiConfig.from_env(settings)
        if check:
            click.echo(f"{len(config.deployments)} deployments, {len(config.orgs)} organisations")
            return
        _run(config, port_file)
    except ActionApiError as error:
        click.echo(f"celerytrail action-api: {error}", err=True)
        sys.exit(1)


def _run(config: ActionApiConfig, port_file: Path | None) -> None:
    from celerytrail.exporter.http_server import (
        HttpServer,
        announce_to,
        log_to_stderr,
        share_metrics,
    )

    log_to_stderr(config.log_level)
    if config.workers > 1:
        share_metrics()
    # Imported late: prometheus_client decides at import whether processes share their counters.
    from celerytrail.action_api.server import server_settings
    from celerytrail.action_api.start import check_database, make_app

    check_database(config)
    HttpServer(server_settings(config), lambda: make_app(config), announce_to(port_file)).run()
