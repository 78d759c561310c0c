"""What a migration closes, what it says when it may not, and that somebody notices when it is opened again."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import errors

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.maintain import Done, maintain_once
from celerytrail.sql.maintain_command import maintain
from celerytrail.sql.migrate import migrate
from celerytrail.sql.role_passwords import PasswordsNotSet, set_role_passwords
from tests.integration.roles.ledger_database import LedgerDatabase

pytest_plugins = ["tests.databases"]


def gaps(database: LedgerDatabase) -> list[str]:
    with database.connect("verifier") as verifier:
        return [str(row[0]) for row in verifier.execute("SELECT celerytrail.hardening_gaps()")]


def test_after_a_migration_nothing_is_open(ledger_database: LedgerDatabase) -> None:
    assert gaps(ledger_database) == []


@pytest.mark.parametrize(
    ("opened", "named"),
    [
        ("GRANT TEMPORARY ON DATABASE {} TO PUBLIC", "PUBLIC may temporary in database"),
        ("GRANT CREATE ON DATABASE {} TO PUBLIC", "PUBLIC may create in database"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "PUBLIC may create in schema public"),
        ("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC", "PUBLIC may execute lo_create"),
        ("GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC", "PUBLIC may use language plpgsql"),
        (
            "GRANT SELECT ON celerytrail.tokens TO celerytrail_grafana",
            "celerytrail_grafana may read celerytrail.tokens",
        ),
        (
            "GRANT SELECT ON celerytrail.payloads TO PUBLIC",
            "celerytrail_grafana may read celerytrail.payloads",
        ),
        (
            "CREATE VIEW celerytrail_views.mine AS SELECT 1 AS one",
            "view celerytrail_views.mine has no security barrier",
        ),
    ],
)
def test_what_is_opened_again_is_named(
    ledger_database: LedgerDatabase, opened: str, named: str
) -> None:
    ledger_database.run(opened.format(ledger_database.name))
    found = gaps(ledger_database)
    assert len(found) == 1
    assert named in found[0]
    ledger_database.run("SELECT celerytrail_admin.harden_database()")
    if "lo_create" in opened or "DATABASE" in opened:
        assert gaps(ledger_database) == []


@pytest.mark.parametrize(
    ("opened", "closed", "named"),
    [
        (
            "GRANT pg_read_all_data TO celerytrail_grafana",
            "REVOKE pg_read_all_data FROM celerytrail_grafana",
            "role celerytrail_grafana is a member of pg_read_all_data",
        ),
        (
            "ALTER ROLE celerytrail_sink CREATEROLE",
            "ALTER ROLE celerytrail_sink NOCREATEROLE",
            "role celerytrail_sink is createrole",
        ),
        (
            "ALTER ROLE celerytrail_owner LOGIN",
            "ALTER ROLE celerytrail_owner NOLOGIN",
            "role celerytrail_owner is login",
        ),
        (
            "ALTER ROLE celerytrail_grafana CONNECTION LIMIT -1",
            "ALTER ROLE celerytrail_grafana CONNECTION LIMIT 30",
            "role celerytrail_grafana is without connection limit",
        ),
    ],
)
def test_a_role_that_may_too_much_is_named(
    ledger_database: LedgerDatabase, opened: str, closed: str, named: str
) -> None:
    ledger_database.run(opened)
    try:
        assert gaps(ledger_database) == [named]
    finally:
        ledger_database.run(closed)


def test_dblink_is_closed_where_it_is_installed(ledger_database: LedgerDatabase) -> None:
    available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'dblink'"
    if not ledger_database.value(available):
        return  # nothing to close
    ledger_database.run("CREATE EXTENSION dblink")
    assert any("dblink" in gap for gap in gaps(ledger_database))
    ledger_database.run("SELECT celerytrail_admin.harden_database()")
    assert gaps(ledger_database) == []
    assert ledger_database.not_refused("grafana", ["SELECT dblink_connect('host=127.0.0.1')"]) == []


def test_what_postgres_tools_use_still_works(ledger_database: LedgerDatabase) -> None:
    """pg_dump sets its search path by function; monitors read pg_stat_activity."""
    with ledger_database.connect() as superuser:
        superuser.execute("CREATE ROLE backup_of_a_test LOGIN IN ROLE pg_read_all_data, pg_monitor")
        try:
            superuser.execute("SET ROLE backup_of_a_test")
            superuser.execute("SELECT set_config('search_path', '', false)")
            superuser.execute("SELECT count(*) FROM pg_stat_activity")
        finally:
            superuser.execute("RESET ROLE")
            superuser.execute("DROP ROLE backup_of_a_test")


@pytest.fixture
def managed(server_directory: Path, postgres_bin: str | None) -> Iterator[EmbeddedPostgres]:
    """A server whose administrator is no superuser, as managed ones are."""
    with EmbeddedPostgres(
        server_directory / "managed", bin_dir=postgres_bin, settings={"fsync": "off"}
    ) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as superuser:
            superuser.execute("CREATE ROLE administrator LOGIN CREATEROLE")
            superuser.execute("CREATE DATABASE ledger OWNER administrator TEMPLATE template0")
        yield server


def test_an_administrator_who_is_no_superuser(managed: EmbeddedPostgres, tmp_path: Path) -> None:
    """Migrates, sets passwords; the maintainer undoes what could not be closed and says what is open."""
    administrator = managed.dsn("ledger", user="administrator")
    migrate(administrator)
    passwords = {
        done.role: done.path.read_text().strip()
        for done in set_role_passwords(administrator, tmp_path / "passwords")
    }

    def dsn(role: str) -> str:
        password = passwords[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{managed.port}/ledger"

    def a_round() -> list[str]:
        done: list[Done] = []
        assert maintain_once(dsn("celerytrail_maintainer"), done.append), done
        return [one.message for one in done]

    first = a_round()
    assert any("PUBLIC may execute lo_close" in line for line in first)
    assert any("pg_advisory_lock" in line for line in first)

    with psycopg.connect(dsn("celerytrail_grafana"), autocommit=True) as grafana:
        with pytest.raises(errors.InsufficientPrivilege):
            grafana.execute("SET transaction_read_only = off; CREATE TEMPORARY TABLE t (a int)")
        grafana.execute("SET default_transaction_read_only = off")
        grafana.execute("SELECT lo_from_bytea(0, 'x')")
        grafana.execute("ALTER ROLE celerytrail_grafana SET statement_timeout = 0")
        grafana.execute("ALTER ROLE celerytrail_grafana PASSWORD 'mine now'")
        grafana.execute("SELECT pg_advisory_lock(1)")
        second = a_round()
        with pytest.raises(psycopg.OperationalError):
            grafana.execute("SELECT 1")
    assert any("held an advisory lock" in line for line in second)
    assert "removed 1 large objects" in second
    assert "restored the settings of celerytrail_grafana" in second
    # The password of the file is the one that works again.
    psycopg.connect(dsn("celerytrail_grafana")).close()

    with psycopg.connect(managed.dsn("ledger"), autocommit=True) as superuser:
        superuser.execute("SELECT celerytrail_admin.harden_database()")
    assert not [line for line in a_round() if line.startswith("gap")]
    assert migrate(administrator).applied == ()


def test_passwords_are_made_and_set_from_files(
    ledger_database: LedgerDatabase, server_directory: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "passwords"
    arguments = ["--dsn", ledger_database.dsn(), "--set-passwords", str(directory), "--json"]
    roles = ("actions", "checkpointer", "grafana", "maintainer", "sink", "verifier")
    before = {role: ledger_database.dsn(role) for role in roles}
    verifiers = "SELECT json_object_agg(rolname, rolpassword) FROM pg_authid WHERE rolname ~ '^celerytrail_'"
    kept: Any = ledger_database.value(verifiers)
    try:
        made = CliRunner().invoke(maintain, arguments)
        assert made.exit_code == 0, made.output
        lines = [json.loads(line) for line in made.output.splitlines()]
        assert [(line["role"], line["made"]) for line in lines] == [
            (f"celerytrail_{role}", True) for role in roles
        ]
        for role in roles:
            path = directory / f"celerytrail_{role}.password"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            password = path.read_text().strip()
            assert len(password) >= 32
            assert password not in made.output
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(before[role])
            psycopg.connect(
                host="127.0.0.1",
                port=ledger_database.server.port,
                user=f"celerytrail_{role}",
                password=password,
                dbname=ledger_database.name,
            ).close()
            # Neither the server's log nor its tables ever saw it.
            assert password not in ledger_database.server.log.read_text(errors="replace")
        again = CliRunner().invoke(maintain, arguments)
        assert [json.loads(line)["made"] for line in again.output.splitlines()] == [False] * 6
    finally:
        for role, verifier in kept.items():
            if verifier:
                ledger_database.run(f"ALTER ROLE {role} PASSWORD '{verifier}'")


def test_passwords_are_for_administrators(ledger_database: LedgerDatabase, tmp_path: Path) -> None:
    with pytest.raises(PasswordsNotSet, match="needs the role that ran `celerytrail migrate`"):
        set_role_passwords(ledger_database.dsn("maintainer"), tmp_path)
    (tmp_path / "celerytrail_sink.password").write_text("\n")
    with pytest.raises(PasswordsNotSet, match="is empty"):
        set_role_passwords(ledger_database.dsn(), tmp_path)
