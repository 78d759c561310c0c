"""One server as a child process: started, watched until ready, stopped by its pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.examples.embedded import unprivileged
from celerytrail.examples.embedded.deferred_signals import deferred_signals
from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.process_group import end_rest

_POLL_SECONDS = 0.02
_TAIL_BYTES = 4000
_GRACE_SECONDS = 2.0
_MINIMAL_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def wrapped(program: Sequence[str], *, mode: str = "same", parent_signal: int = 0) -> list[str]:
    """Return the command that runs ``program`` in a ``mode`` of the script ``unprivileged``."""
    script = unprivileged.__file__
    head = [sys.executable, "-I", str(script), mode, str(int(parent_signal)), str(os.getpid())]
    return [*head, *program]


@dataclass(slots=True)
class ServerProcess:
    """A server in a session of its own, so that Ctrl-C in a terminal does not reach it.

    It ends with the thread that started it, even when that one is killed. Output goes to ``log``.
    """

    name: str
    command: Sequence[str]
    log: Path
    stop_signals: Sequence[signal.Signals]
    mode: str = "same"
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path = Path("/")
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the pid of the running server. Raises EmbeddedServerError when it is stopped."""
        if self._process is None:
            raise EmbeddedServerError(f"{self.name} is not running: call start() first")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code of a server that ended by itself, None while it runs."""
        return self._process.poll() if self._process is not None else None

    @property
    def running(self) -> bool:
        """Say whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Start the server and wait until ``ready()`` says so.

        Raises EmbeddedServerError with the end of the log when it ends or is not ready in time.
        """
        if self.running:
            raise EmbeddedServerError(f"{self.name} runs already as pid {self.pid}")
        self._forget()
        try:
            with open(self.log, "ab") as log, deferred_signals():
                self._process = subprocess.Popen(
                    wrapped(self.command, mode=self.mode, parent_signal=self.stop_signals[0]),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**_MINIMAL_ENVIRONMENT, **self.environment},
                    cwd=self.directory,
                    start_new_session=True,
                )
            self._wait_until_ready(ready, timeout_seconds)
        except BaseException:
            self.stop(timeout_seconds=5)
            raise

    def stop(self, timeout_seconds: float) -> int | None:
        """End the server: each of its stop signals in turn, then SIGKILL.

        When it returns, what the server started in its own process group has ended too: the
        children of a worker that was killed would outlive it for a while. Returns its exit code,
        None when there was nothing to stop.
        """
        if self._process is None:
            return None
        for number in (*self.stop_signals, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            try:
                self._process.wait(timeout_seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        code = self._process.poll()
        end_rest(self._process.pid, _GRACE_SECONDS)
        self._forget()
        return code

    def log_tail(self) -> str:
        """Return the end of the server's log."""
        try:
            return self.log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
        except OSError as error:
            return f"(its log cannot be read: {error})"

    def _wait_until_ready(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if self.exit_code is not None:
                raise EmbeddedServerError(
                    f"{self.name} ended with {self.exit_code}:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"{self.name} was not ready after {timeout_seconds:g} s:\n{self.log_tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.poll()
        self._process = None
