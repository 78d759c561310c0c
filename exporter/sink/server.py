"""How the sink runs as a server."""

from __future__ import annotations

from collections.abc import Callable

from celerytrail.exporter.http_server import ServerSettings
from celerytrail.exporter.sink.config import SinkConfig


def server_settings(config: SinkConfig, at_end: Callable[[], None] | None = None) -> ServerSettings:
    """Return the settings of its server: senders are few, and their requests look alike."""
    return ServerSettings(
        name="celerytrail-sink",
        bind=config.bind,
        workers=config.workers,
        threads=config.threads,
        graceful_seconds=config.graceful_seconds,
        log_level=config.log_level,
        more={"limit_request_line": 1024, "limit_request_fields": 50},
        at_end=at_end,
    )
