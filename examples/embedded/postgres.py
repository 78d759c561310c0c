"""A real Postgres server for the demo and the tests, also for root, with no user added."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import psycopg
from psycopg import sql

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.ports import LOOPBACK, free_port, is_free
from celerytrail.examples.embedded.postgres_binaries import find_bin_dir
from celerytrail.examples.embedded.postgres_user import user_mode
from celerytrail.examples.embedded.server_process import ServerProcess, wrapped
from celerytrail.examples.embedded.whole_command import run_to_end

if TYPE_CHECKING:
    from typing_extensions import LiteralString, Self

SUPERUSER = "postgres"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
}


class EmbeddedPostgres:
    """A Postgres cluster in ``data_dir``, served on loopback while the context is open.

    The cluster is made once and kept; ``stop()`` and ``start()`` keep its port. Every role logs in
    by SCRAM with a generated password: ``dsn(user=...)`` gives a role one when it has none of ours.
    ``bin_dir`` is what ``find_bin_dir`` takes. ``settings`` are server settings, for example
    ``{"fsync": "off"}``. Call ``start`` in a thread that stays: the server ends with it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: str | Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.bin_dir = find_bin_dir(bin_dir)
        self.port = 0
        self._cluster = self.data_dir / "cluster"
        self._settings = {**_SETTINGS, **(settings or {})}
        self._passwords: dict[str, str] = {}
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
    def pid(self) -> int:
        """Return the pid of the running server's first process."""
        if self._server is None:
            raise EmbeddedServerError("Postgres is not running: call start() first")
        return self._server.pid

    @property
    def running(self) -> bool:
        """Say whether the server runs."""
        return self._server is not None and self._server.running

    @property
    def log(self) -> Path:
        """Return the path of the server's log."""
        return self.data_dir / "postgres.log"

    def start(self) -> None:
        """Make the cluster if there is none, start the server, and wait until it answers.

        Raises EmbeddedServerError with the end of its log when it does not within a minute.
        """
        if self.running:
            raise EmbeddedServerError(f"Postgres runs already as pid {self.pid}")
        mode = user_mode(self.data_dir, self.bin_dir)
        if not (self._cluster / "PG_VERSION").exists():
            self._make_cluster(mode)
        self._passwords[SUPERUSER] = self._password_file.read_text().strip()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self.port == 0:
                self.port = free_port()
            try:
                self._start_once(mode, deadline - time.monotonic())
                return
            except EmbeddedServerError as error:
                if time.monotonic() > deadline or not self._worth_another_try(str(error)):
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """End the server by a fast shutdown. Fine when it is gone or was killed."""
        if self._server is not None:
            self._server.stop(_STOP_SECONDS)
        self._server = None

    def dsn(self, dbname: str = "postgres", user: str = SUPERUSER) -> str:
        """Return the address of a database for a role of this server, password included.

        A role other than the superuser that has no password of ours gets one, and the right to log
        in. Raises EmbeddedServerError when the server is stopped or there is no such role.
        """
        if user not in self._passwords:
            self._passwords[user] = self._give_password(user)
        host = f"{LOOPBACK}:{self.port}"
        name, password = quote(user, safe=""), quote(self._passwords[user], safe="")
        return f"postgresql://{name}:{password}@{host}/{quote(dbname, safe='')}?connect_timeout=10"

    def create_database(self, name: str, template: str = "template0") -> str:
        """Create a database, a copy of ``template``, and return its address for the superuser."""
        self._execute("create_database.sql", name=name, template=template)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, and end its sessions."""
        self._execute("drop_database.sql", name=name)

    @property
    def _password_file(self) -> Path:
        return self.data_dir / "superuser.password"

    def _make_cluster(self, mode: str) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        # Renamed when it is complete, so that one that was cut off is never taken for a cluster.
        unfinished = self.data_dir / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        if mode == "nobody":
            entry = pwd.getpwnam("nobody")
            for path in (self.data_dir, unfinished, self._password_file):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        command = [
            str(self.bin_dir / "initdb"),
            f"--pgdata={unfinished}",
            "--encoding=UTF8",
            "--locale=C",
            f"--username={SUPERUSER}",
            "--auth=scram-sha-256",
            f"--pwfile={self._password_file}",
            "--no-sync",
            "--no-instructions",
        ]
        # It runs a Postgres of its own, which would outlive an initdb that is cut off.
        done = run_to_end(
            wrapped(command, mode=mode),
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            directory=Path("/"),
            timeout_seconds=_START_SECONDS,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-4000:]
            raise EmbeddedServerError(f"initdb in {unfinished} failed:\n{said}")
        unfinished.rename(self._cluster)

    def _start_once(self, mode: str, timeout_seconds: float) -> None:
        settings = {**self._settings, "port": str(self.port)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._server = ServerProcess(
            name="Postgres",
            command=[str(self.bin_dir / "postgres"), "-D", str(self._cluster), *options],
            log=self.log,
            stop_signals=(signal.SIGINT, signal.SIGQUIT),
            mode=mode,
        )
        self._server.start(self._answers, max(timeout_seconds, 1.0))

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.dsn(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _worth_another_try(self, message: str) -> bool:
        # The processes of a server that was killed hold its memory and its port for a moment.
        if "is still in use" in message or "already exists" in message:
            return True
        return "Address already in use" in message or not is_free(self.port)

    def _give_password(self, role: str) -> str:
        password = secrets.token_urlsafe(24)
        try:
            with psycopg.connect(self.dsn(), autocommit=True) as connection:
                verifier = connection.pgconn.encrypt_password(
                    password.encode(), role.encode(), b"scram-sha-256"
                ).decode()
                connection.execute(
                    _statement("set_password.sql").format(
                        role=sql.Identifier(role), verifier=sql.Literal(verifier)
                    )
                )
        except psycopg.Error as error:
            raise EmbeddedServerError(
                f"the role {role!r} could not be given a password: {error}"
            ) from error
        return password

    def _execute(self, statement: str, **names: str) -> None:
        identifiers = {key: sql.Identifier(name) for key, name in names.items()}
        try:
            with psycopg.connect(self.dsn(), autocommit=True) as connection:
                connection.execute(_statement(statement).format(**identifiers))
        except psycopg.Error as error:
            raise EmbeddedServerError(f"{statement} with {names} failed: {error}") from error


def _statement(name: str) -> sql.SQL:
    text = (files("celerytrail.examples") / "embedded" / name).read_text()
    # Our own file, not user input: what LiteralString stands for.
    return sql.SQL(cast("LiteralString", text))  # type: ignore[redundant-cast,unused-ignore]
