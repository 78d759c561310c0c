"""The embedded Postgres is a real server: it starts, stops, survives a kill, and keeps its data."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from celerytrail.examples.embedded import postgres as postgres_module
from celerytrail.examples.embedded import postgres_user
from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.postgres_binaries import find_bin_dir, major_version

SETTINGS = {"fsync": "off"}


@pytest.fixture
def server(
    server_directory: Path, postgres_bin: str | None, request: pytest.FixtureRequest
) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(
        server_directory / request.node.name, bin_dir=postgres_bin, settings=SETTINGS
    ) as running:
        yield running


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def wait_until_killed(server: EmbeddedPostgres) -> None:
    deadline = time.monotonic() + 20
    while server.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_server_stores_text_as_utf8_in_c_order(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute(
            "SELECT current_setting('server_encoding'), datcollate, current_setting('TimeZone')"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("UTF8", "C", "UTC")


def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host="127.0.0.1", port=server.port, user="postgres", password="no", dbname="postgres"
        )


def test_a_role_logs_in_with_its_own_address(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute('CREATE ROLE "a role"')
    with psycopg.connect(server.dsn(user="a role")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("a role",)


def test_a_role_that_is_not_there_is_named(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedServerError, match="'nobody-here'"):
        server.dsn(user="nobody-here")


def test_stop_ends_the_process_and_start_brings_the_data_back(server: EmbeddedPostgres) -> None:
    server.create_database("kept")
    pid, port = server.pid, server.port
    server.stop()
    assert not alive(pid)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn("kept"), connect_timeout=2)
    server.start()
    assert server.port == port
    psycopg.connect(server.dsn("kept")).close()


def test_a_killed_server_starts_again(server: EmbeddedPostgres) -> None:
    server.create_database("kept")
    os.kill(server.pid, signal.SIGKILL)
    wait_until_killed(server)
    server.start()
    psycopg.connect(server.dsn("kept")).close()


def test_a_directory_is_opened_again_by_another_object(server: EmbeddedPostgres) -> None:
    server.create_database("kept")
    server.stop()
    with EmbeddedPostgres(server.data_dir, bin_dir=server.bin_dir, settings=SETTINGS) as again:
        psycopg.connect(again.dsn("kept")).close()


def test_starting_twice_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedServerError, match="runs already"):
        server.start()


def test_a_setting_that_is_wrong_is_reported_with_the_log(
    server_directory: Path, postgres_bin: str | None
) -> None:
    server = EmbeddedPostgres(
        server_directory / "wrong", bin_dir=postgres_bin, settings={"no_such_setting": "1"}
    )
    with pytest.raises(EmbeddedServerError, match="no_such_setting"):
        server.start()


def test_databases_are_copied_from_a_template_and_dropped_in_use(server: EmbeddedPostgres) -> None:
    server.create_database("template_of_ours")
    with psycopg.connect(server.dsn("template_of_ours"), autocommit=True) as connection:
        connection.execute("CREATE TABLE proof ()")
    copy = server.create_database("copy", template="template_of_ours")
    with contextlib.closing(psycopg.connect(copy)) as connection:
        connection.execute("SELECT FROM proof")
        server.drop_database("copy")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy)


@pytest.mark.parametrize("mode", ["namespace", "nobody"])
def test_root_runs_it_both_ways(
    mode: str, server_directory: Path, postgres_bin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has to become somebody else")
    if mode == "namespace" and not postgres_user._namespaces_work():
        pytest.skip("this kernel or container allows no user namespaces")
    monkeypatch.setattr(postgres_user, "_namespaces_work", lambda: mode == "namespace")
    users = Path("/etc/passwd").read_bytes()
    directory = server_directory / f"as_{mode}"
    server = EmbeddedPostgres(directory, bin_dir=postgres_bin, settings=SETTINGS)
    if mode == "nobody" and not all(
        path.stat().st_mode & 0o001 for path in (server.bin_dir, *server.bin_dir.parents)
    ):
        pytest.skip("the programs of this Postgres are in a directory that only root can enter")
    with server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert Path("/etc/passwd").read_bytes() == users


def test_a_directory_that_nobody_can_enter_is_named(
    server_directory: Path, postgres_bin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has to become somebody else")
    monkeypatch.setattr(postgres_user, "_namespaces_work", lambda: False)
    closed = server_directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match=f"cannot enter {closed}"):
        EmbeddedPostgres(closed / "data", bin_dir=postgres_bin).start()


def test_the_programs_of_the_wheel_are_found() -> None:
    assert major_version(find_bin_dir("wheel")) >= 18


def test_a_directory_without_a_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=str(tmp_path)):
        find_bin_dir(tmp_path)


def test_the_statements_have_no_values_of_their_own() -> None:
    for name in ("set_password.sql", "create_database.sql", "drop_database.sql"):
        assert "{" in postgres_module._statement(name).as_string(None)
