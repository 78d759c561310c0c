"""The processes of the demo: started one by one, watched, and stopped in the reverse order."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from celerytrail.examples.demo.errors import DemoError
from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.server_process import ServerProcess

_OTHERS = ("CELERYTRAIL_", "OTEL_", "CELERY_", "SHOP_")
CELERYTRAIL = (sys.executable, "-m", "celerytrail.exporter.cli")


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without the settings of another Celery or recorder, and with ``own``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OTHERS)}
    return {**kept, "PYTHONUNBUFFERED": "1", **own}


class Parts:
    """The running processes by name; ``say`` is told what happens. Their logs are in ``directory``."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say
        self._running: dict[str, ServerProcess] = {}

    def start(
        self,
        name: str,
        command: Sequence[str],
        own_environment: Mapping[str, str],
        *,
        ready: Callable[[], bool] | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        """Start a process and wait until it is ready. Raises DemoError with the end of its log."""
        self._say(f"starting {name}")
        part = ServerProcess(
            name=name,
            command=list(command),
            log=self.log(name),
            stop_signals=(signal.SIGTERM,),
            environment=environment(own_environment),
            directory=self._directory,
        )
        self._running[name] = part
        try:
            part.start(ready or (lambda: True), timeout_seconds)
        except EmbeddedServerError as error:
            del self._running[name]
            raise DemoError(str(error)) from error

    def log(self, name: str) -> Path:
        """Return the path of the log of a part."""
        return self._directory / f"{name.replace(' ', '-')}.log"

    def says(self, name: str, text: str) -> bool:
        """Say whether the log of a part contains ``text``."""
        log = self.log(name)
        return log.exists() and text in log.read_text(errors="replace")

    def stop(self, *names: str, timeout_seconds: float = 40.0) -> None:
        """Stop parts in the order given, each by its pid; those that are gone are skipped."""
        for name in names:
            part = self._running.pop(name, None)
            if part is None:
                continue
            self._say(f"stopping {name}")
            code = part.stop(timeout_seconds)
            if code == -signal.SIGKILL:
                self._say(f"{name} did not end within {timeout_seconds:g} s and was killed")

    def stop_all(self) -> None:
        """Stop whatever runs, the last started first."""
        self.stop(*reversed(list(self._running)))

    def ended(self, name: str) -> int | None:
        """Return the exit code of a part that ended by itself, None while it runs."""
        part = self._running.get(name)
        return part.exit_code if part is not None else None

    def check(self, *but: str) -> None:
        """Raise DemoError when a part other than ``but`` has ended by itself."""
        for name, part in self._running.items():
            if name not in but and part.exit_code is not None:
                raise DemoError(f"{name} ended with {part.exit_code}:\n{part.log_tail()}")
