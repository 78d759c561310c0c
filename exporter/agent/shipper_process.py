"""Starting the shipper from a worker or a publisher, when nobody ships this spool yet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.guard import Guard
from celerytrail.exporter.spool.directory import SHIPPER_LOG, prepare_directory
from celerytrail.exporter.spool.election import shipper_is_running
from celerytrail.exporter.spool.errors import SpoolError

MODULE = "celerytrail.exporter.shipper"
CHECK_NANOSECONDS = 10 * 1_000_000_000
MAX_WAIT_NANOSECONDS = 600 * 1_000_000_000
MAX_LOG_BYTES = 1024 * 1024

_AUTO_INSTRUMENTATION = os.path.join("opentelemetry", "instrumentation", "auto_instrumentation")


class ShipperProcess:
    """Looks now and then whether a shipper lives, and starts one where none does.

    The shipper is a process of its own in its own session: it outlives this one, delivers what is
    left and ends when it is idle.
    """

    def __init__(self, config: AgentConfig, guard: Guard) -> None:
        self._config = config
        self._guard = guard
        self._started: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self.next_check = 0

    def after_fork(self) -> None:
        """Forget the parent's child process."""
        if self._started is not None:
            self._started.returncode = 0  # it is not ours to wait for
        self._started = None

    def ensure(self, now: int) -> None:
        """Start the shipper if none runs; looks at most every 10 s. ``now`` is in nanoseconds.

        It does not raise: what goes wrong is a warning.
        """
        if now < self.next_check:
            return
        self.next_check = now + CHECK_NANOSECONDS
        if not self._config.spawn_shipper:
            return
        directory = self._config.spool_dir
        try:
            prepare_directory(directory)
            if self._started is not None and self._started.poll() is not None:
                code, self._started = self._started.returncode, None
                if self._failed(now, code):
                    return
            if self._started is None and not shipper_is_running(directory):
                self._started = self._spawn(directory)
        except (OSError, SpoolError, subprocess.SubprocessError) as exc:
            self._guard.warn(
                "shipper",
                "celerytrail: cannot start the shipper, events wait in the spool: %s",
                exc,
            )

    def _failed(self, now: int, code: int) -> bool:
        # One that cannot begin will not begin ten seconds later either; a killed one will.
        if code <= 0:
            self._failures = 0
            return False
        self._failures = min(self._failures + 1, 6)
        self.next_check = now + min(CHECK_NANOSECONDS << self._failures, MAX_WAIT_NANOSECONDS)
        self._guard.warn(
            "shipper",
            "celerytrail: the shipper ended with %d, events wait in the spool: see %s",
            code,
            self._config.spool_dir / SHIPPER_LOG,
        )
        return True

    def let_go(self) -> None:
        """Stop expecting the shipper to end before this process does."""
        if self._started is not None and self._started.poll() is None:
            self._started.returncode = 0  # Popen would warn that it still runs, which is the point

    def _spawn(self, directory: Path) -> subprocess.Popen[bytes]:
        log = directory / SHIPPER_LOG
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        output = os.open(log, flags, 0o600)
        try:
            if os.fstat(output).st_size > MAX_LOG_BYTES:
                os.ftruncate(output, 0)
            return subprocess.Popen(
                [interpreter(), "-m", MODULE, "--spool", str(directory), "--exit-when-idle"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Not the application's directory: -m would import what lies there by chance.
                cwd="/",
                env=self._environment(),
                start_new_session=True,
            )
        finally:
            os.close(output)

    def _environment(self) -> dict[str, str]:
        # By environment, not by argument: everybody can read the arguments of a process. What
        # the environment says already is left as it is, since the shipper knows more variables.
        config, deployment = self._config, self._config.deployment
        environment = {
            **os.environ,
            **config.from_django,
            "CELERYTRAIL_SPOOL_DIR": str(config.spool_dir),
            "CELERYTRAIL_NAMESPACE": deployment.namespace,
            "CELERYTRAIL_SERVICE": deployment.service,
            "CELERYTRAIL_ENVIRONMENT": deployment.environment,
        }
        if config.endpoint_given:
            environment["CELERYTRAIL_ENDPOINT"] = config.endpoint
        if config.token and config.token != environment.get("CELERYTRAIL_TOKEN"):
            environment["CELERYTRAIL_TOKEN"] = config.token
            environment.pop("CELERYTRAIL_TOKEN_FILE", None)
        if config.redaction:
            environment["CELERYTRAIL_REDACTION"] = str(config.redaction)
        if "PYTHONPATH" in environment:
            environment["PYTHONPATH"] = _without_instrumentation(environment["PYTHONPATH"])
        return environment


def _without_instrumentation(python_path: str) -> str:
    # opentelemetry-instrument works by a folder on the path, which children inherit. The shipper is
    # not the user's program: nothing of it belongs into their traces, and no exporter of theirs into it.
    paths = python_path.split(os.pathsep)
    return os.pathsep.join(path for path in paths if not path.endswith(_AUTO_INSTRUMENTATION))


def interpreter() -> str:
    """Return the Python to run: ``sys.executable``, unless a server embeds Python and that is its own."""
    if "python" in os.path.basename(sys.executable or "").lower() or "pypy" in sys.executable:
        return sys.executable
    found = os.path.join(sys.prefix, "bin", "python3")
    return found if os.path.exists(found) else shutil.which("python3") or sys.executable
