"""A server of ours in a process of its own, on a free port: how it is started, found and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import DEADLINE_SECONDS, wait_until

COMMAND = "import sys; from celerytrail.exporter.cli import main; sys.exit(main())"


class ServerProcess:
    """What the processes of sink and action API share; each adds its own settings and questions."""

    __slots__ = ()

    subcommand: str
    dsn: str
    directory: Path
    arguments: tuple[str, ...]
    environ: dict[str, str]
    port: int
    process: subprocess.Popen[bytes] | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def _log(self) -> Path:
        return self.directory / f"{self.subcommand}.log"

    def settings(self) -> dict[str, str]:
        """Return the variables that it is started with."""
        return {"CELERYTRAIL_DSN": self.dsn, **self.environ}

    def spawn(self) -> subprocess.Popen[bytes]:
        self.directory.mkdir(parents=True, exist_ok=True)
        port_file = self.directory / "port"
        port_file.unlink(missing_ok=True)
        environ = {
            name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ
        }
        bind = f"127.0.0.1:{self.port}"
        command = [self.subcommand, "--bind", bind, "--port-file", str(port_file)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *command, *self.arguments],
                env=environ | self.settings(),
                stdout=log,
                stderr=log,
            )
        return self.process

    def start(self) -> None:
        process = self.spawn()
        port_file = self.directory / "port"

        def opened() -> bool:
            assert process.poll() is None, self.output
            return port_file.exists()

        wait_until(opened, f"the {self.subcommand} opens its port")
        self.port = int(port_file.read_text())

    def stop(self) -> int:
        """End it by SIGTERM and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE_SECONDS)
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
