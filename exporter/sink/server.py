"""The sink on gunicorn: threads, a free port, a quiet end."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from celerytrail.exporter.sink.config import SinkConfig

KEEPALIVE_SECONDS = 75
"""Longer than the idle timeout of senders' connection pools, so that they close first."""

_IDLE_SECONDS = 30


class BoundedThreadWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker whose clients cannot hold a thread by sending or reading nothing.

    Bodies have a bound of their own; this one is for headers and answers. It is set on the socket
    itself, since the worker makes its sockets blocking for every request.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop taking connections; at the end the port is closed, not left to fill up.

        A client that is refused goes elsewhere or tries again; one in a backlog that nobody
        reads waits for its timeout.
        """
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


class SinkServer(BaseApplication):  # type: ignore[misc]
    """Runs one application under gunicorn until SIGTERM; ``run`` does not return.

    ``make_app`` is called in each worker process, after the fork: a connection pool must not
    be inherited. ``announce`` gets the address once the port is open.
    """

    def __init__(
        self,
        config: SinkConfig,
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
            "proc_name": "celerytrail-sink",
            "control_socket_disable": True,
            "limit_request_line": 1024,
            "limit_request_fields": 50,
            "forwarded_allow_ips": "",
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


_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def _on_exit(server: Any) -> None:
    if _METRICS_DIRECTORY in os.environ:
        shutil.rmtree(os.environ[_METRICS_DIRECTORY], ignore_errors=True)


def _child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    if _METRICS_DIRECTORY in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def share_metrics() -> None:
    """Make the counters of several worker processes add up; before prometheus_client is imported."""
    directory = tempfile.mkdtemp(prefix="celerytrail-sink-metrics-")
    os.environ[_METRICS_DIRECTORY] = directory


def announce_to(port_file: Path | None) -> Callable[[str, int], None]:
    """Return what says where the sink listens: one line, and a file with the port."""

    def announce(host: str, port: int) -> None:
        if port_file is not None:
            partial = port_file.with_name(f"{port_file.name}.{os.getpid()}")
            partial.write_text(f"{port}\n")
            partial.replace(port_file)
        shown = f"[{host}]" if ":" in host else host
        print(f"listening on http://{shown}:{port}", flush=True)

    return announce


def log_to_stderr(level: str) -> None:
    """Send the sink's own log lines to stderr, one line each."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
