"""Dumps of a ledger and what is restored from them, by the programs that come with Postgres."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.migrate import migrate


def run(program: Path, *arguments: str | Path) -> None:
    """Run a program of Postgres; fail with what it said."""
    done = subprocess.run(
        [program, *map(str, arguments)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{program.name}: {done.stderr[-4000:]}"


def dump(programs: Path, dsn: str, target: Path, *options: str) -> Path:
    """Dump a database into a file or directory, by the programs of one version."""
    run(programs / "pg_dump", *options, f"--file={target}", dsn)
    return target


def restore(programs: Path, dsn: str, source: Path, *options: str) -> None:
    """Restore a dump of any form into a database."""
    if source.suffix == ".sql":
        run(programs / "psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={source}", dsn)
    else:
        run(programs / "pg_restore", "--exit-on-error", *options, f"--dbname={dsn}", source)


def restore_newer(programs: Path, dsn: str, source: Path) -> None:
    """Restore a dump of an older version, and close again what the newer one has by other names.

    The rights that PUBLIC lost on functions of Postgres are in the dump; one of these functions has
    another signature from 17 on, and that error alone is borne.
    """
    done = subprocess.run(
        [programs / "pg_restore", f"--dbname={dsn}", source],
        check=False,
        capture_output=True,
        text=True,
    )
    errors = [line for line in done.stderr.splitlines() if "ERROR:" in line]
    assert all("pg_logical_emit_message" in line for line in errors), done.stderr[-4000:]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT celerytrail_admin.harden_database()")
        assert connection.execute("SELECT celerytrail.hardening_gaps()").fetchall() == []


@contextmanager
def empty_database(server: EmbeddedPostgres) -> Iterator[str]:
    """Give the name of an empty database on a server that has the roles of a ledger."""
    names = [f"test_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    try:
        migrate(server.create_database(names[0]))  # roles belong to the server
        server.create_database(names[1])
        yield names[1]
    finally:
        for name in names:
            server.drop_database(name)
