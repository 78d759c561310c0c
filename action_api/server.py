"""The action API on gunicorn: threads, a free port, a quiet end."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from celerytrail.action_api.config import ActionApiConfig
from celerytrail.action_api.identity.headers import PROOFS, REPEATED

KEEPALIVE_SECONDS = 75
_IDLE_SECONDS = 30
_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class BoundedThreadWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker whose clients cannot hold a thread by sending or reading nothing."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop taking connections; at the end the port is closed, not left to fill up."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection with work to the threads."""
        interval = struct.pack("ll", _IDLE_SECONDS, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conn.sock.setsockopt(socket.SOL_SOCKET, option, interval)
        super().enqueue_req(conn)


class ActionServer(BaseApplication):  # type: ignore[misc]
    """Runs one application under gunicorn until SIGTERM; ``run`` does not return.

    ``make_app`` is called in each worker process, after the fork: connections and threads must not
    be inherited. ``announce`` gets the address once the port is open.
    """

    def __init__(
        self,
        config: ActionApiConfig,
        make_app: Callable[[], Flask],
        announce: Callable[[str, int], None],
    ) -> None:
        self._config = config
        self._make_app = make_app
        self._announce = announce
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; nothing is read from files or its own environment variable."""
        config = self._config
        settings: dict[str, Any] = {
            "bind": config.bind,
            "workers": config.workers,
            "worker_class": f"{__name__}.BoundedThreadWorker",
            "threads": config.threads,
            "worker_connections": max(256, config.threads * 4),
            "backlog": 256,
            "keepalive": KEEPALIVE_SECONDS,
            "timeout": 120,
            "graceful_timeout": config.graceful_seconds,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning" if config.log_level == "info" else config.log_level,
            "proc_name": "celerytrail-action-api",
            "control_socket_disable": True,
            "limit_request_line": 8190,
            "limit_request_fields": 100,
            "limit_request_field_size": 36 * 1024,  # Grafana's context is one header
            "header_map": "drop",  # X_Grafana_Id is another header than X-Grafana-Id
            "forwarded_allow_ips": "",
            "pre_request": mark_repeated,
            "when_ready": self._when_ready,
            "child_exit": _child_exit,
            "on_exit": _on_exit,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # older versions of gunicorn know fewer
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application of one worker process."""
        return self._make_app()

    def _when_ready(self, server: Any) -> None:
        host, port = server.LISTENERS[0].sock.getsockname()[:2]
        self._announce(host, port)


def mark_repeated(worker: Any, request: Any) -> None:
    """Name the proofs that came more than once in a header of our own, before WSGI joins them.

    gunicorn's hook ``pre_request``; whatever a client sent under that name is taken away first.
    """
    headers = [(name, value) for name, value in request.headers if name.upper() != REPEATED.upper()]
    counts = Counter(name.upper() for name, _ in headers)
    repeated = [name for name in PROOFS if counts[name.upper()] > 1]
    if repeated:
        headers.append((REPEATED.upper(), " ".join(repeated)))
    request.headers = headers


def _on_exit(server: Any) -> None:
    if _METRICS_DIRECTORY in os.environ:
        shutil.rmtree(os.environ[_METRICS_DIRECTORY], ignore_errors=True)


def _child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    if _METRICS_DIRECTORY in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def share_metrics() -> None:
    """Make the counters of several worker processes add up; before prometheus_client is imported."""
    os.environ[_METRICS_DIRECTORY] = tempfile.mkdtemp(prefix="celerytrail-actions-metrics-")


def announce_to(port_file: Path | None) -> Callable[[str, int], None]:
    """Return what says where the server listens: one line, and a file with the port."""

    def announce(host: str, port: int) -> None:
        if port_file is not None:
            partial = port_file.with_name(f"{port_file.name}.{os.getpid()}")
            partial.write_text(f"{port}\n")
            partial.replace(port_file)
        shown = f"[{host}]" if ":" in host else host
        print(f"listening on http://{shown}:{port}", flush=True)

    return announce


def log_to_stderr(level: str) -> None:
    """Send the server's own log lines to stderr, one line each."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
