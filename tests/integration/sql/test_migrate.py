"""`celerytrail migrate`: once, by one, understood when it fails, and never half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import psycopg
import pytest
from click.testing import CliRunner

from celerytrail.examples.embedded.ports import free_port
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql import migrate as migrate_module
from celerytrail.sql.connection import connect
from celerytrail.sql.errors import (
    MigrationChanged,
    MigrationFailed,
    SchemaTooNew,
    SchemaTooOld,
    UnsuitableServer,
)
from celerytrail.sql.migrate import Migration, migrate, migrations, require_schema
from celerytrail.sql.migrate_command import migrate as command

PROGRAM = "from celerytrail.sql.migrate_command import migrate; migrate()"


def extra(number: int, text: str, *, breaking: bool = False) -> Migration:
    return Migration(number, f"{number}_x", text, text.encode(), breaking)


def test_twenty_copies_at_once_apply_it_once(postgres: EmbeddedPostgres, database: str) -> None:
    environment = {**os.environ, "CELERYTRAIL_DSN": postgres.dsn(database)}
    copies = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    reports = []
    for copy in copies:
        out, err = copy.communicate(timeout=240)
        assert copy.returncode == 0, err
        reports.append(json.loads(out))
    assert sorted(len(report["applied"]) for report in reports) == [0] * 19 + [len(migrations())]
    assert {report["version"] for report in reports} == {migrations()[-1].id}
    with connect(postgres.dsn(database), application_name="test") as connection:
        rows = connection.execute("SELECT name, sha256 FROM celerytrail.migrations ORDER BY id")
        assert rows.fetchall() == [(step.name, step.sha256) for step in migrations()]
        require_schema(connection)


def test_several_databases_of_one_cluster_at_once(
    postgres: EmbeddedPostgres, database: str
) -> None:
    names = [f"{database}_{number}" for number in range(4)]
    copies = []
    for name in names:
        postgres.create_database(name)
        environment = {**os.environ, "CELERYTRAIL_DSN": postgres.dsn(name)}
        copies.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.DEVNULL
            )
        )
    codes = [copy.wait(timeout=240) for copy in copies]
    for name in names:
        postgres.drop_database(name)
    assert codes == [0, 0, 0, 0]


def test_check_says_what_is_pending(postgres: EmbeddedPostgres, database: str) -> None:
    dsn = postgres.dsn(database)
    before = CliRunner().invoke(command, ["--dsn", dsn, "--check"])
    assert before.exit_code == 1
    assert "pending 0001_create_roles" in before.output
    with psycopg.connect(dsn) as connection:
        (there,) = connection.execute("SELECT to_regnamespace('celerytrail')").fetchone() or ()
        assert there is None
    assert CliRunner().invoke(command, ["--dsn", dsn]).exit_code == 0
    after = CliRunner().invoke(command, ["--check", "--json"], env={"CELERYTRAIL_DSN": dsn})
    assert after.exit_code == 0
    assert json.loads(after.output)["pending"] == []


def test_a_newer_schema_is_refused(postgres: EmbeddedPostgres, database: str) -> None:
    dsn = postgres.dsn(database)
    newer = [*migrations(), extra(9001, "SELECT 1")]
    migrate(dsn, known=newer)
    with pytest.raises(SchemaTooNew, match="9001_x"):
        migrate(dsn)
    done = CliRunner().invoke(command, ["--dsn", dsn])
    assert done.exit_code == 1
    assert "newer than this version" in done.output
    assert "Traceback" not in done.output
    with connect(dsn, application_name="test") as connection:
        require_schema(connection)
        with pytest.raises(SchemaTooOld, match="9002_x"):
            require_schema(connection, [*newer, extra(9002, "SELECT 1")])
    migrate(dsn, known=[*newer, extra(9003, "SELECT 1", breaking=True)])
    with connect(dsn, application_name="test") as connection, pytest.raises(SchemaTooNew):
        require_schema(connection)


def test_a_changed_migration_is_refused(postgres: EmbeddedPostgres, database: str) -> None:
    dsn = postgres.dsn(database)
    migrate(dsn)
    edited = [replace(migrations()[0], sha256=b"other"), *migrations()[1:]]
    with pytest.raises(MigrationChanged, match="0001_create_roles"):
        migrate(dsn, known=edited)


def test_a_failing_migration_leaves_nothing_and_says_which(
    postgres: EmbeddedPostgres, database: str
) -> None:
    dsn = postgres.dsn(database)
    good = extra(9001, "CREATE TABLE celerytrail.kept ()")
    bad = extra(9002, "CREATE TABLE celerytrail.half (); SELECT 1/0")
    with pytest.raises(
        MigrationFailed, match="9002_x failed and was rolled back: division by zero"
    ):
        migrate(dsn, known=[*migrations(), good, bad])
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT to_regclass('celerytrail.kept')::text, to_regclass('celerytrail.half')::text"
        ).fetchone()
    assert found == ("celerytrail.kept", None)
    fixed = extra(9002, "CREATE TABLE celerytrail.half ()")
    assert migrate(dsn, known=[*migrations(), good, fixed]).applied == ("9002_x",)


def test_a_held_lock_is_waited_for_a_bounded_time(
    postgres: EmbeddedPostgres, database: str
) -> None:
    dsn = postgres.dsn(database)
    statements = migrate_module.queries("migrations")
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute(statements["lock"])
        with pytest.raises(MigrationFailed, match="held the lock for 1 s"):
            migrate(dsn, wait_seconds=1)
    assert len(migrate(dsn, wait_seconds=60).applied) == len(migrations())


def test_a_database_that_is_not_utf8_is_refused(postgres: EmbeddedPostgres, database: str) -> None:
    name = f"{database}_latin1"
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0".encode()
        )
    try:
        with pytest.raises(UnsuitableServer, match="LATIN1"):
            migrate(postgres.dsn(name))
    finally:
        postgres.drop_database(name)


def test_an_old_server_is_refused(
    postgres: EmbeddedPostgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "MINIMUM_SERVER_VERSION", 990000)
    with pytest.raises(UnsuitableServer, match="too old"):
        migrate(postgres.dsn(database))


def test_a_wrong_dsn_is_said_without_the_password(postgres: EmbeddedPostgres) -> None:
    right = f"127.0.0.1:{postgres.port}"
    for dsn, said in (
        (f"postgresql://postgres:hunter2@127.0.0.1:{free_port()}/x", "cannot connect to postgres@"),
        (f"postgresql://postgres:hunter2@{right}/postgres", "password authentication failed"),
        ("postgresql://postgres:hun@ter2@127.0.0.1/x", "percent-encode"),
        ("postgresql://postgres:hunt/er2@127.0.0.1/x", "percent-encode"),
        ("postgresql://postgres:hunter2@127.0.0.1:54x/x", "percent-encode"),
        ("host=127.0.0.1 password='hunter2", "not a Postgres connection string"),
        ("password=hunter2 nonsense", "not a Postgres connection string"),
        ("", "is empty"),
    ):
        done = CliRunner().invoke(command, ["--dsn", dsn])
        assert done.exit_code == 1, dsn
        assert said in done.output
        for part in ("hunter2", "hun@", "ter2", "hunt", "er2"):
            assert part not in done.output, dsn


def test_every_file_says_what_it_changes_and_why_that_is_safe() -> None:
    assert [step.id for step in migrations()] == sorted({step.id for step in migrations()})
    for step in migrations():
        first, second, *_ = step.text.splitlines()
        assert first.startswith("-- "), step.name
        assert second.startswith(("-- Safe: ", "--! breaking")), step.name
