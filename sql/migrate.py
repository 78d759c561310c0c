"""Applies sql/migrations to a database: once each, in order, one transaction each."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import psycopg

from celerytrail.sql.connection import connect, describe_dsn
from celerytrail.sql.errors import (
    MigrationChanged,
    MigrationFailed,
    SchemaTooNew,
    SchemaTooOld,
    UnsuitableServer,
)
from celerytrail.sql.named_queries import queries

MINIMUM_SERVER_VERSION = 150000
DEFAULT_WAIT_SECONDS = 120
ATTEMPTS = 10
"""Roles belong to the whole cluster: two databases that migrate at once may collide on them."""

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_BREAKING = re.compile(r"^--! breaking\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file; ``breaking`` says that code from before it must not run after it."""

    id: int
    name: str
    text: str
    sha256: bytes
    breaking: bool


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a call of ``migrate`` did: names of the migrations it applied, days it made ahead."""

    applied: tuple[str, ...]
    version: int
    partitions: int


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the migrations of this version in the order of their numbers."""
    found = []
    for entry in files("celerytrail.sql").joinpath("migrations").iterdir():
        match = _FILE.fullmatch(entry.name)
        if match is None:
            continue
        content = entry.read_bytes()
        text = content.decode("utf-8")
        found.append(
            Migration(
                id=int(match[1]),
                name=entry.name.removesuffix(".sql"),
                text=text,
                sha256=hashlib.sha256(content).digest(),
                breaking=_BREAKING.search(text) is not None,
            )
        )
    found.sort(key=lambda migration: migration.id)
    return tuple(found)


def migrate(
    dsn: str,
    *,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    known: Sequence[Migration] | None = None,
) -> Migrated:
    """Apply what is pending and make the day partitions of the next days.

    Any number of processes may call it at once: one applies, the others wait up to
    ``wait_seconds`` and find nothing left to do. ``known`` replaces the migrations of this version.
    Raises DatabaseUnreachable, UnsuitableServer, SchemaTooNew, MigrationChanged, MigrationFailed.
    """
    steps = migrations() if known is None else tuple(known)
    statements = queries("migrations")
    with connect(
        dsn,
        application_name="celerytrail migrate",
        autocommit=True,
        lock_timeout_seconds=wait_seconds,
    ) as connection:
        require_suitable_server(connection)
        try:
            connection.execute(statements["lock"])
        except psycopg.errors.LockNotAvailable as exc:
            raise MigrationFailed(
                f"another migration of {describe_dsn(dsn)} held the lock for {wait_seconds:g} s"
            ) from exc
        try:
            applied = []
            pending = pending_migrations(connection, steps)
            if pending:
                _apply(connection, statements["create_table"], "the table of migrations")
            for step in pending:
                _apply(connection, step.text.encode(), step.name, step)
                applied.append(step.name)
            made = _partitions_ahead(connection)
        finally:
            if not connection.broken:
                connection.execute(statements["unlock"])
    return Migrated(tuple(applied), steps[-1].id if steps else 0, made)


def pending_migrations(
    connection: psycopg.Connection, known: Sequence[Migration] | None = None
) -> list[Migration]:
    """Return the migrations that are not applied yet, in order.

    Raises SchemaTooNew for a database with a migration that is not known here, and
    MigrationChanged for one whose file differs from what was applied.
    """
    steps = migrations() if known is None else known
    applied = _applied(connection)
    by_id = {step.id: step for step in steps}
    unknown = [row for row in applied if row[0] not in by_id]
    if unknown:
        raise SchemaTooNew(_too_new(connection, unknown, steps))
    for number, name, sha256, _ in applied:
        if by_id[number].sha256 != sha256:
            raise MigrationChanged(
                f"migration {name} was applied with another content than {by_id[number].name}.sql "
                "has here. An applied migration is never edited: install the version of "
                "celerytrail that the database was migrated with, and add a new migration."
            )
    done = {row[0] for row in applied}
    return [step for step in steps if step.id not in done]


def require_schema(
    connection: psycopg.Connection, known: Sequence[Migration] | None = None
) -> None:
    """Refuse to run on a database whose schema does not fit this version of the code.

    Migrations that are unknown here are accepted unless they say that they break older code.
    Raises SchemaTooNew, SchemaTooOld.
    """
    steps = migrations() if known is None else known
    applied = _applied(connection)
    by_id = {step.id for step in steps}
    breaking = [row for row in applied if row[0] not in by_id and row[3]]
    if breaking:
        raise SchemaTooNew(_too_new(connection, breaking, steps))
    done = {row[0] for row in applied}
    missing = [step.name for step in steps if step.id not in done]
    if missing:
        raise SchemaTooOld(
            f"database {connection.info.dbname!r} lacks {len(missing)} migrations, the first is "
            f"{missing[0]}. Run `celerytrail migrate` with a DSN that may change the schema."
        )


def require_suitable_server(connection: psycopg.Connection) -> None:
    """Raise UnsuitableServer for a server before 15 or a database whose encoding is not UTF8."""
    row = connection.execute(queries("migrations")["server"]).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    number, version, encoding = row
    if number < MINIMUM_SERVER_VERSION:
        raise UnsuitableServer(f"Postgres {version} is too old: celerytrail needs 15 or newer")
    if encoding != "UTF8":
        raise UnsuitableServer(
            f"database {connection.info.dbname!r} has encoding {encoding}: celerytrail needs "
            "UTF8 (CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0)"
        )


def _applied(connection: psycopg.Connection) -> list[tuple[int, str, bytes, bool]]:
    statements = queries("migrations")
    row = connection.execute(statements["is_there"]).fetchone()
    if row is None or not row[0]:
        return []
    return connection.execute(statements["applied"]).fetchall()


def _too_new(
    connection: psycopg.Connection,
    unknown: Sequence[tuple[int, str, bytes, bool]],
    steps: Sequence[Migration],
) -> str:
    newest = steps[-1].name if steps else "none"
    return (
        f"the schema of database {connection.info.dbname!r} is newer than this version of "
        f"celerytrail: it has migration {unknown[-1][1]}, the newest known here is {newest}. "
        "Install a newer celerytrail."
    )


def _apply(
    connection: psycopg.Connection, text: bytes, name: str, step: Migration | None = None
) -> None:
    for attempt in range(ATTEMPTS):
        try:
            with connection.transaction():
                connection.execute(text)
                # The owner that the file may have become is not who applied it.
                connection.execute("RESET ROLE")
                if step is not None:
                    connection.execute(
                        queries("migrations")["record"],
                        {
                            "id": step.id,
                            "name": step.name,
                            "sha256": step.sha256,
                            "breaking": step.breaking,
                        },
                    )
            return
        except psycopg.Error as exc:
            if "tuple concurrently" in str(exc) and attempt + 1 < ATTEMPTS:
                time.sleep(0.05 * (attempt + 1))
                continue
            raise MigrationFailed(f"{name} failed and was rolled back: {str(exc).strip()}") from exc


def _partitions_ahead(connection: psycopg.Connection) -> int:
    row = connection.execute(queries("migrations")["make_partitions_ahead"]).fetchone()
    assert row is not None  # a SELECT of a function's value has one row
    return int(row[0])
