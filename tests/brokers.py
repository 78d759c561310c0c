"""A real RabbitMQ server for one test, from the system's package, with nothing of the system's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from celerytrail.examples.embedded.ports import LOOPBACK, free_port
from celerytrail.examples.embedded.server_process import ServerProcess
from tests.processes import alive
from tests.waiting import wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

START_SECONDS = 120.0
STOP_SECONDS = 60.0
# Debian's /usr/sbin/rabbitmq-server changes to a user and directories of its own: not that one.
_PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server")
# The answer to it is the frame Connection.Start of AMQP 0-9-1, a method frame (type 1).
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = b"\x01"


class RabbitMQ:
    """A RabbitMQ node on free ports of loopback while the context is open.

    It has its own epmd, cookie, configuration, data and no plugins, all in ``directory``; it is the
    user's who runs the tests, root's too. Both processes end with the thread that started them.
    """

    def __init__(self, directory: Path, *, program: Path, epmd: Path) -> None:
        self.directory = directory.absolute()
        self.port = free_port()
        self._epmd_port = free_port()
        self._program = program
        self._epmd = ServerProcess(
            name="epmd",
            command=[str(epmd), "-port", str(self._epmd_port), "-address", LOOPBACK],
            log=self.directory / "epmd.log",
            stop_signals=(signal.SIGTERM,),
        )
        self._server = ServerProcess(
            name="RabbitMQ",
            command=[str(program)],
            log=self.directory / "rabbitmq.log",
            stop_signals=(signal.SIGTERM,),
            environment=self._environment(),
            directory=self.directory.parent,
        )

    @property
    def url(self) -> str:
        """Return the address as a broker URL of Celery."""
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}//"

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = {LOOPBACK}:{self.port}\n"
            # A full or busy machine is not what is tested: its alarms block every publisher.
            "disk_free_limit.absolute = 1MB\n"
            "vm_memory_high_watermark.absolute = 2GB\n"
        )
        (self.directory / "enabled_plugins").write_text("[].\n")
        try:
            self._epmd.start(lambda: _listens(self._epmd_port), START_SECONDS)
            self._server.start(self._answers, START_SECONDS)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _environment(self) -> dict[str, str]:
        """Return the settings that keep a node away from those of the system's node."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.directory),  # where the cookie is
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"celerytrail-{uuid.uuid4().hex[:12]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2"
            ),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.directory / "advanced.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.directory / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(self.directory / "schema"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self._pid_file),
        }

    @property
    def _pid_file(self) -> Path:
        return self.directory / "rabbitmq.pid"

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), 5) as connection:
            connection.sendall(_PROTOCOL_HEADER)
            return connection.recv(1) == _METHOD_FRAME
        return False

    def _stop(self) -> None:
        # The program is a shell that hands SIGTERM on to the node, whose pid is in the file; a node
        # that ended in order has removed the file.
        node = int(self._pid_file.read_text() or 0) if self._pid_file.exists() else 0
        try:
            self._server.stop(STOP_SECONDS)
            if node and alive(node):
                with suppress(ProcessLookupError):
                    os.kill(node, signal.SIGKILL)
                wait_until(lambda: not alive(node), "the RabbitMQ node has ended")
        finally:
            self._epmd.stop(STOP_SECONDS)


def find_rabbitmq() -> tuple[Path, Path] | None:
    """Return the programs of RabbitMQ and of epmd, None where they are not installed."""
    on_path = shutil.which("rabbitmq-server") or ""
    candidates = [Path(name) for name in (*_PROGRAMS, on_path) if name]
    program = next((path for path in candidates if os.access(path, os.X_OK)), None)
    epmd = shutil.which("epmd")
    if program is None or epmd is None:
        return None
    return program, Path(epmd)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), 5):
        return True
    return False
