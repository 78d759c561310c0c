"""What kind of process this is, and under which name its events are known."""

from __future__ import annotations

import os
import platform
import socket
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import celery

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.spool.writer import Origin

WORKER, CHILD, BEAT, PUBLISHER = "worker", "child", "beat", "publisher"

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Role:
    """The part this process plays: worker, pool child, beat or publisher; it can become another."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._host = socket.gethostname()
        self._boot_id = _boot_id()
        self._agent_version = _agent_version()
        self.kind = PUBLISHER
        self._node = ""

    @property
    def worker(self) -> str:
        """Return ``service.instance.id``: the name given, else the node name, else ``<kind>@<host>``."""
        return self._config.worker_name or self._node or f"{self.kind}@{self._host}"

    def become_worker(self, node: str) -> None:
        """Note that this is the main process of the worker of that node name."""
        self.kind, self._node = WORKER, str(node)

    def become_child(self, node: str) -> None:
        """Note that this is a pool child of the worker of that node name."""
        self.kind, self._node = CHILD, str(node)

    def become_beat(self) -> None:
        """Note that this process is beat; an embedded one is no longer the worker's child."""
        self.kind, self._node = BEAT, ""

    def after_fork(self) -> None:
        """Note that this is a forked child: that of a worker is a pool child."""
        if self.kind == WORKER:
            self.kind = CHILD

    def origin(self) -> Origin:
        """Return who writes, for a segment's header."""
        deployment = self._config.deployment
        return Origin(
            boot_id=self._boot_id,
            host=self._host,
            pid=os.getpid(),
            process_kind=self.kind,
            worker=self.worker,
            namespace=deployment.namespace,
            service=deployment.service,
            environment=deployment.environment,
            resource_attributes=self._config.resource_attributes,
            agent_version=self._agent_version,
            celery_version=str(celery.__version__),
            python_version=platform.python_version(),
        )


def _boot_id() -> str:
    with suppress(OSError):
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def _agent_version() -> str:
    try:
        return version("celerytrail")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"
