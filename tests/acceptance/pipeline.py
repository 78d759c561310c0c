"""The whole way, from a worker to the database, out of the commands a person would type."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from tests.json_lines import whole_lines
from tests.processes import kill, shippers_of
from tests.waiting import wait_until

APPS = Path(__file__).parent / "apps"
CELERYTRAIL = str(Path(sys.executable).with_name("celerytrail"))
PATIENCE_SECONDS = 300.0


@dataclass(slots=True)
class Program:
    """One process of the pipeline, its own session, with what it said in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, signum: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal, wait, and return the exit code; SIGKILL what does not end."""
        if self.alive():
            self.process.send_signal(signum)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"{self.name} did not end on {signal.Signals(signum).name}:\n{self.tail()}"
            ) from None

    def end(self) -> None:
        """Stop it if it still runs."""
        if self.alive():
            self.stop()

    def said(self, text: str) -> bool:
        """Tell whether it has said this: by now that may stand before the end that ``tail`` shows."""
        return text in self.log.read_text(errors="replace")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]


@dataclass(slots=True)
class Pipeline:
    """Database, sink and workers of one test, each started by its command."""

    postgres: EmbeddedPostgres
    database: str
    broker_url: str
    directory: Path
    python: str = sys.executable
    token: str = ""
    sink_port: int = 0
    endpoint: str = ""
    result_url: str = ""  # of the result backend, where it is not the broker
    apps: Path = APPS
    app: str = "ordinary"
    programs: list[Program] = field(default_factory=list)
    shipper_settings: dict[str, str] = field(default_factory=dict)

    @property
    def spool(self) -> Path:
        return self.directory / "spool"

    @property
    def record(self) -> Path:
        return self.directory / "record.jsonl"

    def dsn(self, role: str = "postgres") -> str:
        return self.postgres.dsn(self.database, role)

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of a worker or publisher: ours is all in variables."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CELERYTRAIL_", "OTEL_"))
        }
        return {
            **kept,
            "PYTHONPATH": str(self.apps),
            "BROKER_URL": self.broker_url,
            "RESULT_URL": self.result_url or self.broker_url,
            "WORKLOAD_RECORD": str(self.record),
            "CELERYTRAIL_SPOOL_DIR": str(self.spool),
            "CELERYTRAIL_ENDPOINT": self.endpoint,
            "CELERYTRAIL_TOKEN": self.token,
            "CELERYTRAIL_NAMESPACE": "shop",
            "CELERYTRAIL_SERVICE": "orders",
            "CELERYTRAIL_ENVIRONMENT": "test",
            **self.shipper_settings,
            **more,
        }

    def command(
        self, *arguments: str, patience: float = PATIENCE_SECONDS, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one ``celerytrail`` command to its end, which may take so many seconds."""
        return subprocess.run(
            [CELERYTRAIL, *arguments],
            env=self.environ(**environ),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )

    def start(self, name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Program:
        log = self.directory / f"{name}-{len(self.programs)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                arguments,
                env=dict(environ),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        program = Program(name, process, log)
        self.programs.append(program)
        return program

    def prepare(self) -> None:
        """Migrate the database, make the token and start the sink."""
        self.directory.mkdir(exist_ok=True)
        migrated = self.command("migrate", "--dsn", self.dsn())
        assert migrated.returncode == 0, migrated.stderr
        self.token = self.make_token("shop", "orders", "test")
        self.start_sink()

    def make_token(self, namespace: str, service: str, environment: str) -> str:
        """Make a token for a deployment, as an administrator does."""
        made = self.command(
            "tokens", "create", "--dsn", self.dsn(), "--name", f"shipper of {service}",
            "--namespace", namespace, "--service", service, "--environment", environment,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        return made.stdout.split()[-1]

    def start_sink(self) -> Program:
        """Start the sink, on the port it had before if it ran already."""
        port_file = self.directory / "sink.port"
        port_file.unlink(missing_ok=True)
        sink = self.start(
            "sink",
            [
                CELERYTRAIL, "sink",
                "--bind", f"127.0.0.1:{self.sink_port}", "--port-file", str(port_file),
            ],
            self.environ(CELERYTRAIL_DSN=self.dsn("celerytrail_sink")),
        )  # fmt: skip
        wait_until(
            lambda: (port_file.exists() and port_file.read_text().strip()) or not sink.alive(),
            "the sink listens",
        )
        assert sink.alive(), sink.tail()
        self.sink_port = int(port_file.read_text())
        self.endpoint = self.endpoint or f"http://127.0.0.1:{self.sink_port}"
        return sink

    def start_worker(
        self,
        *arguments: str,
        name: str = "worker",
        app: str = "",
        before: Sequence[str] = (),
        **environ: str,
    ) -> Program:
        """Start ``celery worker`` and wait until it is ready; ``before`` is what starts it."""
        worker = self.start(
            name,
            [
                *before,
                self.python, "-m", "celery", "-A", app or self.app, "worker", "--loglevel", "INFO",
                "-n", f"{name}{len(self.programs)}@%h", "--concurrency", "2",
                "-Q", "celery,slow lane", *arguments,
            ],
            self.environ(**environ),
        )  # fmt: skip
        wait_until(lambda: worker.said("ready.") or not worker.alive(), "the worker is ready")
        assert worker.alive(), worker.tail()
        return worker

    def run(self, script: str, *arguments: str, **environ: str) -> list[dict[str, Any]]:
        """Run a publishing script to its end and return the JSON lines it printed."""
        done = subprocess.run(
            [self.python, str(self.apps / script), *arguments],
            env=self.environ(**environ),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def results(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Ask the result backend for the end of each task."""
        listed = self.directory / "ids"
        listed.write_text("\n".join(ids))
        return {line["id"]: line for line in self.run("read_results.py", str(listed))}

    def recorded(self) -> list[dict[str, Any]]:
        """Return what the tasks wrote down themselves."""
        return whole_lines(self.record)

    def rows(
        self, statement: str, *parameters: object, role: str = "postgres"
    ) -> list[dict[str, Any]]:
        """Run one query and return its rows by column name."""
        with psycopg.connect(self.dsn(role), row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type]

    @contextmanager
    def snapshot(self) -> Iterator[Callable[..., list[dict[str, Any]]]]:
        """Yield ``rows`` for queries that all see the database as it was at the first of them."""
        with psycopg.connect(self.dsn(), row_factory=dict_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield lambda statement, *parameters: connection.execute(
                statement, parameters
            ).fetchall()

    def value(self, statement: str, *parameters: object) -> Any:
        (row,) = self.rows(statement, *parameters)
        return next(iter(row.values()))

    def verify(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.command(
            "verify", "--dsn", self.dsn("celerytrail_verifier"), "--way", "both", *arguments
        )

    def wait_for_ends(self) -> None:
        """Return when every task that the ledger knows has ended."""
        wait_until(
            lambda: (
                not self.value(
                    "SELECT count(*) FROM celerytrail.tasks WHERE finished_at IS NULL OR state = 'retried'"
                )
            ),
            "every task has ended",
            PATIENCE_SECONDS,
        )

    def stop_and_store(self, worker: Program) -> None:
        """Stop a worker, and return when the ledger has every event of every process."""
        assert worker.stop() == 0
        wait_until(
            lambda: (
                not self.rows(
                    "SELECT FROM celerytrail_views.streams WHERE process_kind <> 'shipper'"
                    " AND (state <> 'ended' OR missing > 0)"
                )
            ),
            "every event of every process is stored",
            PATIENCE_SECONDS,
        )

    def shipper_pids(self) -> list[int]:
        """Return the processes that ship this spool."""
        return shippers_of(self.spool)

    @contextmanager
    def second_ledger(self) -> Iterator[tuple[str, Pipeline]]:
        """Make another empty ledger that takes the same token, with a sink of its own."""
        name = f"{self.database}_second"
        self.postgres.create_database(name)
        second = Pipeline(self.postgres, name, self.broker_url, self.directory / "second")
        try:
            second.prepare()
            second.rows(
                "UPDATE celerytrail.tokens SET token_hash = sha256(convert_to(%s, 'UTF8')) RETURNING 1",
                self.token,
            )
            yield second.endpoint, second
        finally:
            second.close()
            self.postgres.drop_database(name)

    def close(self) -> None:
        """End every process, sinks last. One that does not end in order keeps no other from ending."""
        sinks = [program for program in self.programs if program.name == "sink"]
        others = [program for program in self.programs if program.name != "sink"]
        with ExitStack() as ending:  # what is put on it last comes first
            for program in sinks:
                ending.callback(program.end)
            ending.callback(lambda: kill(self.shipper_pids()))
            for program in others:
                ending.callback(program.end)


@contextmanager
def prepared(
    postgres: EmbeddedPostgres, database: str, broker_url: str, directory: Path
) -> Iterator[Pipeline]:
    """A migrated database with a sink in front of it; workers are the test's own."""
    made = Pipeline(postgres, database, broker_url, directory)
    try:
        made.prepare()
        yield made
    finally:
        made.close()
