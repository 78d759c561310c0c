"""Services of docker-compose.yml as local processes, from the file's own commands, settings and checks.

There is no engine here, so a container's paths, host names and ports become ones of this machine: a
volume is a directory, a service's name is 127.0.0.1, and each port has a free one in its place. All else is
what the file says.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.examples.embedded.ports import LOOPBACK, free_port
from celerytrail.examples.embedded.server_process import ServerProcess
from tests.compose_file import ROOT, Service, services
from tests.processes import kill, mentioning
from tests.waiting import wait_until

PATIENCE_SECONDS = 120.0
_ADDRESS = re.compile(r"\b(0\.0\.0\.0|127\.0\.0\.1|[a-z][a-z-]*):(\d{4,5})\b")
_PORTS = {
    ("postgres", 5432), ("valkey", 6379), ("sink", 4318), ("otel-collector", 4318),
    ("otel-collector", 13133), ("otel-collector", 8888), ("action-api", 8080), ("grafana", 3000),
}  # fmt: skip


@dataclass(slots=True)
class LocalServices:
    """The services that were started, their volumes in ``directory``."""

    directory: Path
    entrypoints: Mapping[str, str]
    """What the image of a service starts its command with, by service."""
    started: dict[str, ServerProcess] = field(default_factory=dict)
    ports: dict[tuple[str, int], int] = field(
        default_factory=lambda: {address: free_port() for address in sorted(_PORTS)}
    )

    def volume(self, name: str) -> Path:
        """Return the directory that stands for a volume."""
        path = self.directory / "volumes" / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def run(self, name: str) -> str:
        """Run a service that ends, and return what it said; it has to end well."""
        service = self._prepared(name)
        done = subprocess.run(
            self._command(service),
            env=self._environment(service),
            cwd=self._root(name),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name: str) -> None:
        """Start a service that stays, and wait until its own healthcheck says that it is well."""
        service = self._prepared(name)
        process = self.started[name] = ServerProcess(
            name=name,
            command=self._command(service),
            log=self.directory / f"{name}.log",
            stop_signals=(signal.SIGTERM,),
            environment=self._environment(service),
            directory=self._root(name),
        )
        process.start(lambda: True, PATIENCE_SECONDS)
        try:
            wait_until(
                lambda: self.healthy(name) or not process.running,
                f"{name} is healthy",
                PATIENCE_SECONDS,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{process.log_tail()}") from None
        assert process.running, process.log_tail()

    def healthy(self, name: str) -> bool:
        """Run the healthcheck of a service once."""
        service = self._prepared(name)
        kind, *words = (self._local(service, word) for word in service.healthcheck)
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        checked = subprocess.run(
            command,
            env=self._environment(service),
            cwd=self._root(name),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return checked.returncode == 0

    def stop(self, name: str) -> None:
        """Stop a service in order."""
        process = self.started.pop(name)
        code = process.stop(60)
        assert code != -signal.SIGKILL, f"{name} did not end on SIGTERM:\n{process.log_tail()}"

    def close(self) -> None:
        """Stop all services, the last started first, and what is left of their containers.

        A worker's shipper outlives it here; a container's end is the end of all processes in it.
        """
        for name in reversed(list(self.started)):
            self.started.pop(name).stop(30)
        kill(mentioning(str(self.directory)))
        wait_until(lambda: not mentioning(str(self.directory)), "every process has ended")

    def put_addresses(self, volume: str) -> None:
        """Replace addresses of the Compose network in what a volume holds."""
        for path in self.volume(volume).iterdir():
            path.write_text(self._addresses(path.read_text(), own=""))

    def local(self, name: str, text: str) -> str:
        """Return a text of a service's definition as it is for its local process."""
        return self._local(self._prepared(name), text)

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service's local process."""
        return self._environment(self._prepared(name))

    def _prepared(self, name: str) -> Service:
        """Make the root directory of a service, with its mounts in their places."""
        service = services()[name]
        root = self._root(name)
        for mount in service.mounts:
            place = root / mount.target.lstrip("/")
            if place.exists() or place.is_symlink():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if not mount.is_file_of_ours:
                place.symlink_to(self.volume(mount.source))
                continue
            source = ROOT / mount.source
            place.write_text(self._local(service, source.read_text()))
            shutil.copymode(source, place)
        return service

    def _root(self, name: str) -> Path:
        path = self.directory / "roots" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _command(self, service: Service) -> list[str]:
        words = [self._local(service, word) for word in service.command]
        entrypoint = self.entrypoints.get(service.name)
        program, *arguments = [entrypoint, *words] if entrypoint else words
        found = shutil.which(program, path=self._environment(service)["PATH"])
        assert found, f"{service.name}: there is no program {program}"
        return [found, *arguments]

    def _environment(self, service: Service) -> dict[str, str]:
        own = {key: self._local(service, value) for key, value in service.environment.items()}
        # In a container 0.0.0.0 is its own network; a port alone is one of the service's own.
        for key, value in own.items():
            if value == "0.0.0.0":
                own[key] = LOOPBACK
            elif value.isdigit() and (service.name, int(value)) in self.ports:
                own[key] = str(self.ports[service.name, int(value)])
        programs = Path(sys.executable).parent
        return {
            "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._root(service.name)),
            "LC_ALL": "C.UTF-8",
            **own,
        }

    def _local(self, service: Service, text: str) -> str:
        root = self._root(service.name)
        targets = {mount.target for mount in service.mounts}
        parents = {str(Path(target).parent) for target in targets}
        if text in parents:
            return f"{root}{text}"
        for target in sorted(targets, key=len, reverse=True):
            text = re.sub(rf"(?<![\w.-]){re.escape(target)}(?![\w-])", f"{root}{target}", text)
        return self._addresses(text, own=service.name)

    def _addresses(self, text: str, own: str) -> str:
        def replace(match: re.Match[str]) -> str:
            host, port = match[1], int(match[2])
            name = own if host in ("0.0.0.0", LOOPBACK) else host
            local = self.ports.get((name, port))
            return f"{LOOPBACK}:{local}" if local else match[0]

        return _ADDRESS.sub(replace, text)
