"""How the action API runs as a server, and what it looks at before WSGI joins headers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from celerytrail.action_api.config import ActionApiConfig
from celerytrail.action_api.identity.headers import PROOFS, REPEATED
from celerytrail.exporter.http_server import ServerSettings


def server_settings(config: ActionApiConfig) -> ServerSettings:
    """Return the settings of its server."""
    return ServerSettings(
        name="celerytrail-action-api",
        bind=config.bind,
        workers=config.workers,
        threads=config.threads,
        graceful_seconds=config.graceful_seconds,
        log_level=config.log_level,
        more={
            "limit_request_line": 8190,
            "limit_request_fields": 100,
            "limit_request_field_size": 36 * 1024,  # Grafana's context is one header
            "header_map": "drop",  # X_Grafana_Id is another header than X-Grafana-Id
        },
        look_at=mark_repeated,
    )


def mark_repeated(request: Any) -> None:
    """Name the proofs that came more than once in a header of our own, before WSGI joins them.

    Whatever a client sent under that name is taken away first.
    """
    headers = [(name, value) for name, value in request.headers if name.upper() != REPEATED.upper()]
    counts = Counter(name.upper() for name, _ in headers)
    repeated = [name for name in PROOFS if counts[name.upper()] > 1]
    if repeated:
        headers.append((REPEATED.upper(), " ".join(repeated)))
    request.headers = headers
