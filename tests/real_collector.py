"""The OpenTelemetry Collector itself, as ``make collector`` builds it, with the committed configuration."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pytest

from celerytrail.examples.embedded.ports import LOOPBACK, free_port
from celerytrail.examples.embedded.server_process import ServerProcess
from tests.waiting import wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).parents[1]
BINARY = ROOT / "build" / "otelcol" / "otelcol-celerytrail"
CONFIGURATIONS = ROOT / "provisioning" / "otel-collector"
START_SECONDS = 60.0
STOP_SECONDS = 60.0


def require_collector() -> Path:
    """Return the program, or skip the test: with a reason that is allowed only where Go is missing."""
    if os.access(BINARY, os.X_OK):
        return BINARY
    if shutil.which("go") or Path("/usr/local/go/bin/go").exists():
        pytest.skip("the Collector is not built: run make collector")
    pytest.skip("no Go here to build the Collector with")


def validate(environ: Mapping[str, str], *configurations: str) -> subprocess.CompletedProcess[str]:
    """Let the Collector check configurations of ours, by file name, without running them."""
    return subprocess.run(
        [str(require_collector()), "validate", *_as_arguments(configurations)],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(slots=True)
class RealCollector:
    """One Collector in front of ``sink``; it can be killed and started again on the same ports."""

    sink: str
    token_file: Path
    directory: Path
    configurations: Sequence[str] = ("config.yaml",)
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    _server: ServerProcess | None = None

    @property
    def endpoint(self) -> str:
        """Where shippers send to."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The settings that the configuration names."""
        return {
            "CELERYTRAIL_SINK_ENDPOINT": self.sink,
            "CELERYTRAIL_TOKEN_FILE": str(self.token_file),
            "CELERYTRAIL_COLLECTOR_PORT": str(self.port),
            "CELERYTRAIL_COLLECTOR_DIR": str(self.directory),
            "CELERYTRAIL_COLLECTOR_HEALTH_PORT": str(self.health_port),
            "CELERYTRAIL_COLLECTOR_METRICS_PORT": str(self.metrics_port),
            **self.settings,
        }

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.stop(STOP_SECONDS)

    def start(self, *, healthy: bool = True) -> None:
        """Start it, and wait until it says that it is healthy, or only until its log begins."""
        self._server = ServerProcess(
            name="the Collector",
            command=[str(require_collector()), *_as_arguments(self.configurations)],
            log=self._next_log(),
            stop_signals=(signal.SIGTERM,),
            environment=self.environ,
        )
        self._server.start(self.healthy if healthy else self._said_something, START_SECONDS)

    def kill(self) -> None:
        """End it with SIGKILL: nothing is flushed, nothing is said."""
        assert self._server is not None
        os.kill(self._server.pid, signal.SIGKILL)
        server = self._server
        wait_until(lambda: not server.running, "the Collector is dead")
        assert server.exit_code == -signal.SIGKILL

    @property
    def pid(self) -> int:
        """Return the pid of its process."""
        assert self._server is not None
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.running

    def healthy(self) -> bool:
        """Ask its health check."""
        return b"Server available" in self._get(self.health_port, "/")

    def queued(self) -> float:
        """Return the size of its queues on disk, in bytes, as its own metrics tell it."""
        lines = self._get(self.metrics_port, "/metrics").decode().splitlines()
        sizes = [line for line in lines if line.startswith("otelcol_exporter_queue_size{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in sizes)

    def log(self) -> str:
        """Return what it said since it was started last."""
        assert self._server is not None
        return self._server.log.read_text(errors="replace")

    def _next_log(self) -> Path:
        return self.directory / f"collector-{len(list(self.directory.glob('collector-*')))}.log"

    def _said_something(self) -> bool:
        return bool(self.log())

    def _get(self, port: int, path: str) -> bytes:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            return connection.getresponse().read()
        return b""


def _as_arguments(configurations: Sequence[str]) -> list[str]:
    return [word for name in configurations for word in ("--config", str(CONFIGURATIONS / name))]
