"""``celerytrail sink``: receive OTLP and write the ledger."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from celerytrail.exporter.sink.config import SinkConfig
from celerytrail.exporter.sink.errors import SinkError
from celerytrail.exporter.sink.verification import VerificationProcess

if TYPE_CHECKING:
    from flask import Flask


@click.command()
@click.option("--bind", help="Address and port; port 0 takes a free one.  [127.0.0.1:4318]")
@click.option(
    "--port-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the port into this file once it is open.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes.  [1]")
@click.option("--threads", type=click.IntRange(1, 2000), help="Threads in each of them.  [16]")
@click.option(
    "--wait-for-database",
    is_flag=True,
    help="Start although the database cannot be reached; answer 503 until it can.",
)
def sink(
    bind: str | None,
    port_file: Path | None,
    workers: int | None,
    threads: int | None,
    wait_for_database: bool,
) -> None:
    """Receive OTLP over HTTP and write it to the ledger.

    The database comes from CELERYTRAIL_DSN, or from the file that CELERYTRAIL_DSN_FILE names; it
    is the role celerytrail_sink that connects. Other settings are CELERYTRAIL_SINK_* variables.
    With CELERYTRAIL_VERIFY_DSN it also keeps a process that verifies the ledger.
    """
    try:
        settings = dict(os.environ)
        for name, value in (("BIND", bind), ("WORKERS", workers), ("THREADS", threads)):
            if value is not None:
                settings[f"CELERYTRAIL_SINK_{name}"] = str(value)
        if wait_for_database:
            settings["CELERYTRAIL_SINK_WAIT_FOR_DATABASE"] = "1"
        config = SinkConfig.from_env(settings)
        _run(config, port_file)
    except SinkError as error:
        click.echo(f"celerytrail sink: {error}", err=True)
        sys.exit(1)


def _run(config: SinkConfig, port_file: Path | None) -> None:
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
    from celerytrail.exporter.sink.server import server_settings
    from celerytrail.exporter.sink.start import check_database, make_app

    check_database(config)
    verification = None
    if config.verification is not None:
        verification = VerificationProcess(config.verification)
        verification.start()

    def app() -> Flask:
        if verification is None:
            return make_app(config)
        verification.leave_to_parent()
        return make_app(config, verification.status_file)

    at_end = verification.stop if verification is not None else None
    try:
        HttpServer(server_settings(config, at_end), app, announce_to(port_file)).run()
    finally:
        if verification is not None:
            verification.stop()
