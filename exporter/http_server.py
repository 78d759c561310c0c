"""An application on gunicorn: threads that no client can hold, a free port, a quiet end."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

KEEPALIVE_SECONDS = 75
"""Longer than the idle timeout of clients' connection pools, so that they close first."""

_IDLE_SECONDS = 30
_HEADERS_SECONDS = 10.0
_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class BoundedThreadWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker whose clients cannot hold a thread.

    Each wait for a client is bounded, and so is the time until the headers of a request are whole:
    by then it is known who asks, and bodies have a bound of their own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unread: dict[int, tuple[float, Any]] = {}

    def handle(self, conn: Any) -> Any:
        """Read a request and answer it; in one of the threads."""
        thread = threading.get_ident()
        self._unread[thread] = (time.monotonic() + _HEADERS_SECONDS, conn)
        try:
            return super().handle(conn)
        finally:
            self._unread.pop(thread, None)

    def headers_are_read(self) -> None:
        """Say that the thread which calls this has the headers of its request."""
        self._unread.pop(threading.get_ident(), None)

    def murder_keepalived(self, *args: Any, **kwargs: Any) -> None:
        """Close what is idle for too long, and what never ends its headers; once a second."""
        super().murder_keepalived(*args, **kwargs)
        now = time.monotonic()
        for deadline, conn in list(self._unread.values()):
            if now > deadline:
                with suppress(OSError):  # the thread then reads an end, and closes it
                    conn.sock.shutdown(socket.SHUT_RDWR)

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
        """Hand a connection with work to the threads.

        The bound is set on the socket itself: the worker makes its sockets blocking for every request.
        """
        interval = struct.pack("ll", _IDLE_SECONDS, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conn.sock.setsockopt(socket.SOL_SOCKET, option, interval)
        super().enqueue_req(conn)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How one server runs. ``more`` are settings of gunicorn's that it has beside the common ones.

    ``look_at`` is called with each request once its headers are read, before WSGI sees them.
    ``at_end`` is called once, in the process that started the others, when these have ended.
    """

    name: str
    bind: str
    workers: int
    threads: int
    graceful_seconds: int
    log_level: str
    more: Mapping[str, Any] = field(default_factory=dict)
    look_at: Callable[[Any], None] | None = None
    at_end: Callable[[], None] | None = None


class HttpServer(BaseApplication):  # type: ignore[misc]
    """Runs one WSGI application under gunicorn until SIGTERM; ``run`` does not return.

    ``make_app`` is called in each worker process, after the fork: connections and threads must not
    be inherited. ``announce`` gets the address once the port is open.
    """

    def __init__(
        self,
        settings: ServerSettings,
        make_app: Callable[[], Any],
        announce: Callable[[str, int], None],
    ) -> None:
        self._settings = settings
        self._make_app = make_app
        self._announce = announce
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; nothing is read from files or its own environment variable."""
        ours = self._settings
        settings: dict[str, Any] = {
            "bind": ours.bind,
            "workers": ours.workers,
            "worker_class": f"{__name__}.BoundedThreadWorker",
            "threads": ours.threads,
            "worker_connections": max(256, ours.threads * 4),
            "backlog": 256,
            "keepalive": KEEPALIVE_SECONDS,
            "timeout": 120,
            "graceful_timeout": ours.graceful_seconds,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning" if ours.log_level == "info" else ours.log_level,
            "proc_name": ours.name,
            "control_socket_disable": True,
            "forwarded_allow_ips": "",
            **ours.more,
            "pre_request": self._before_request,
            "when_ready": self._when_ready,
            "child_exit": _child_exit,
            "on_exit": self._on_exit,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # older versions of gunicorn know fewer
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application of one worker process."""
        return self._make_app()

    def _before_request(self, worker: Any, request: Any) -> None:
        worker.headers_are_read()
        if self._settings.look_at is not None:
            self._settings.look_at(request)

    def _when_ready(self, server: Any) -> None:
        host, port = server.LISTENERS[0].sock.getsockname()[:2]
        self._announce(host, port)

    def _on_exit(self, server: Any) -> None:
        if _METRICS_DIRECTORY in os.environ:
            shutil.rmtree(os.environ[_METRICS_DIRECTORY], ignore_errors=True)
        if self._settings.at_end is not None:
            self._settings.at_end()


def _child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    if _METRICS_DIRECTORY in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def share_metrics() -> None:
    """Make the counters of several worker processes add up; before prometheus_client is imported."""
    os.environ[_METRICS_DIRECTORY] = tempfile.mkdtemp(prefix="celerytrail-metrics-")


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
