"""docker-compose.yml at work, as far as that goes without an engine: Compose's own loader reads it, and each
of our services starts from its own command, settings and healthcheck.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from redis import Redis
from redis.exceptions import AuthenticationError, ConnectionError

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.server_process import ServerProcess
from celerytrail.examples.embedded.valkey import find_program
from tests.compose_file import COMPOSE_FILE, ROOT, Service, in_order, services
from tests.compose_services import LocalServices
from tests.real_collector import BINARY
from tests.waiting import wait_until

LOADERS = ROOT / "build" / "compose"
# Images of other people, which have no part here: their files are checked in tests/unit/provisioning.
NOT_OURS = {"grafana", "proxy", "rabbitmq"}
FAILED = """
    SELECT task_id, args, kwargs FROM celerytrail_views.tasks
    WHERE task_name = 'shop.charge_card' AND state = 'failed' LIMIT 1
"""


def load(path: Path) -> subprocess.CompletedProcess[str]:
    """Let Compose's own loader read a file: schema, interpolation, references."""
    found = sorted(LOADERS.glob("loader-*"))
    if not found:
        if shutil.which("go") or Path("/usr/local/go/bin/go").exists():
            pytest.skip(
                "the loader of compose files is not built: provisioning/compose/build-loader"
            )
        pytest.skip("no Go here to build the loader of compose files with")
    return subprocess.run(
        [str(found[-1]), str(path)], capture_output=True, text=True, timeout=60, check=False
    )


def test_composes_own_loader_accepts_the_file() -> None:
    loaded = load(COMPOSE_FILE)
    assert loaded.returncode == 0, loaded.stderr
    assert "warn" not in loaded.stderr.lower(), loaded.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    mem_limit: 2g", "    mem_limitt: 2g"),
        ("condition: service_healthy", "condition: service_happy"),
        ("  cap_drop: [ALL]", "  cap_drop: ALL"),
        ("  restart: unless-stopped", "  restart: {policy: always}"),
    ],
)
def test_composes_own_loader_would_say_so(before: str, after: str, tmp_path: Path) -> None:
    text = COMPOSE_FILE.read_text()
    assert before in text
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(text.replace(before, after, 1))
    assert load(wrong).returncode != 0


@pytest.fixture
def local_services(tmp_path: Path) -> Iterator[LocalServices]:
    """Nothing started yet."""
    started = LocalServices(tmp_path / "compose", {"otel-collector": str(BINARY)})
    try:
        yield started
    finally:
        started.close()


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_our_services_start_from_the_file_and_one_task_goes_all_the_way(
    local_services: LocalServices, server_directory: Path, postgres_bin: str | None
) -> None:
    """In the order of ``depends_on``; then a failed task is recorded, opened, and sent again."""
    compose = local_services
    servers: list[Any] = []
    try:
        for service in in_order():
            name = service.name
            if name in NOT_OURS:
                continue
            if name == "postgres":
                servers.append(start_postgres(compose, server_directory, postgres_bin))
            elif name == "valkey":
                servers.append(start_valkey(compose))
            elif name == "otel-collector" and not os.access(BINARY, os.X_OK):
                # Where there is no Go, the example sends to the sink itself.
                compose.ports["otel-collector", 4318] = compose.ports["sink", 4318]
            elif service.runs_once:
                compose.run(name)
                if name == "secrets":
                    for volume in ("shop-secrets", "actions-secrets"):
                        compose.put_addresses(volume)
            else:
                compose.start(name)
        all_the_way(compose)
        for name in ("sink", "action-api"):
            compose.stop(name)
            assert not compose.healthy(name), f"the healthcheck of {name} cannot fail"
    finally:
        compose.close()
        for server in reversed(servers):
            server.stop(30) if isinstance(server, ServerProcess) else server.stop()


def all_the_way(compose: LocalServices) -> None:
    """See the example's data as Grafana does, and press a button as a script does."""
    grafana = dsn(compose, "celerytrail_grafana", "grafana-secrets/database_password")
    # Spans and what they are about go two ways through the Collector.
    failed = wait_until(
        lambda: [row for row in rows(grafana, FAILED) if row["kwargs"] is not None],
        "a payment was declined",
    )[0]
    assert "card_number" in failed["kwargs"]
    assert "4242" not in failed["kwargs"]
    wait_until(
        lambda: rows(
            grafana,
            "SELECT FROM celerytrail_views.verifications WHERE status = 'ok' AND compared_with = 'checkpoint'",
        ),
        "the ledger was verified against what was signed",
    )
    environ = compose.environment("token")
    token = subprocess.run(
        ["celerytrail", "tokens", "create", "--for", "actions", "--name", "a script", "--service", "shop",
         "--namespace", "demo", "--environment", "compose", "--scope", "retry", "--expires-in-days", "1"],
        env=environ, capture_output=True, text=True, timeout=60, check=True,
    ).stdout.split()[-1]  # fmt: skip
    retried = subprocess.run(
        ["celerytrail", "retry", failed["task_id"], "--reason", "the card is good now"],
        env={
            "PATH": environ["PATH"],
            "CELERYTRAIL_ACTIONS_URL": f"http://127.0.0.1:{compose.ports['action-api', 8080]}",
            "CELERYTRAIL_ACTIONS_TOKEN": token,
        },
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert retried.returncode == 0, retried.stdout + retried.stderr
    again = wait_until(
        lambda: rows(
            grafana,
            "SELECT n.state, n.kwargs FROM celerytrail_views.tasks o"
            " JOIN celerytrail_views.tasks n ON n.task_id = o.retried_as"
            " WHERE o.task_id = %s AND n.state = 'failed' AND n.kwargs IS NOT NULL",
            failed["task_id"],
        ),
        "the task ran again with its own arguments",
    )
    assert again == [{"state": "failed", "kwargs": failed["kwargs"]}]


def start_postgres(
    compose: LocalServices, directory: Path, postgres_bin: str | None
) -> EmbeddedPostgres:
    """Start a Postgres as the file says: its settings, its database, its rules of who may log in."""
    words = compose_file("postgres").command
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    rules = Path(compose.local("postgres", settings.pop("hba_file")))
    server = EmbeddedPostgres(
        directory / "compose-postgres", bin_dir=postgres_bin, settings={**settings, "fsync": "off"}
    )
    server.start()
    try:
        server.create_database("celerytrail")
        # As the image does with POSTGRES_PASSWORD_FILE.
        password = (compose.volume("postgres-secrets") / "password").read_text()
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(password))
            )
            (theirs,) = connection.execute("SHOW hba_file").fetchone() or ("",)
            Path(theirs).write_text(rules.read_text())
            connection.execute("SELECT pg_reload_conf()")
    except BaseException:
        server.stop()
        raise
    compose.ports["postgres", 5432] = server.port
    return server


def start_valkey(compose: LocalServices) -> ServerProcess:
    """Start a Valkey from the generated configuration, on a port and a folder of this machine."""
    program, *words = (compose.local("valkey", word) for word in compose_file("valkey").command)
    assert program == "valkey-server"
    port = compose.ports["valkey", 6379]
    server = ServerProcess(
        name="valkey",
        command=[str(find_program()), *words, "--bind", "127.0.0.1", "--port", str(port)],
        log=compose.directory / "valkey.log",
        stop_signals=(signal.SIGTERM,),
    )  # fmt: skip
    password = (compose.volume("valkey-secrets") / "password").read_text()

    def answers() -> bool:
        with Redis(port=port, password=password) as client:
            try:
                return bool(client.ping())
            except ConnectionError:
                return False

    server.start(answers, 60)
    with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    return server


def compose_file(name: str) -> Service:
    return services()[name]


def dsn(compose: LocalServices, role: str, secret: str) -> str:
    """Return the address of the ledger for a role, with the password of its reader."""
    volume, _, file = secret.partition("/")
    password = (compose.volume(volume) / file).read_text()
    return f"postgresql://{role}:{password}@127.0.0.1:{compose.ports['postgres', 5432]}/celerytrail"


def rows(address: str, statement: str, *parameters: object) -> list[dict[str, Any]]:
    """Run one query and return its rows by column name."""
    with psycopg.connect(address, row_factory=dict_row, autocommit=True) as connection:
        return connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type]


def test_secrets_are_made_once_each_readable_by_nobody_else(local_services: LocalServices) -> None:
    volumes = {
        mount.target.rpartition("/")[2]: local_services.volume(mount.source)
        for mount in compose_file("secrets").mounts
        if not mount.is_file_of_ours
    }
    local_services.run("secrets")
    first = contents(volumes)
    local_services.run("secrets")
    assert contents(volumes) == first
    passwords = [
        text for (_, file), text in first.items() if "password" in file and "database" not in file
    ]
    assert len(passwords) == len(set(passwords)) == 10
    assert all(len(password) == 48 for password in passwords)
    for folder in volumes.values():
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    if os.geteuid() == 0:
        owners = {name: folder.stat().st_uid for name, folder in volumes.items()}
        theirs = {"postgres": 999, "valkey": 999, "rabbitmq": 999, "grafana": 472}
        assert owners == {name: theirs.get(name, 10001) for name in volumes}
    assert first["grafana", "proxy_secret"] == first["actions", "proxy_secret"]
    assert first["shop", "seal-psk"] == first["actions", "seal-psk"]
    private = {key for key, text in first.items() if "PRIVATE" in text}
    assert private == {
        ("actions", "seal-private.pem"),
        ("checkpointer", "checkpoint-private.key"),
    }


def contents(volumes: dict[str, Path]) -> dict[tuple[str, str], str]:
    return {
        (name, path.name): path.read_text()
        for name, folder in volumes.items()
        for path in folder.iterdir()
    }
