"""Compare the catalog of a ledger with what its migrations made of a fresh database.

Triggers, functions, policies, rules, grants and owners decide what is hashed and what a verifier
sees, the rows of ``celerytrail.steps`` what a stored step means; whoever may change them can hide a row without breaking a hash. ``catalog.json`` is written by
``python -m celerytrail.sql.catalog --write`` from fresh databases of every supported version, and
must be written again with every migration, which a test enforces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.migrate import migrate, migrations
from celerytrail.sql.named_queries import queries

_READABLE = 100
"""Definitions up to this many characters stand in the file as they are, longer ones as a hash."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object of the catalog; ``general_name`` is the same for the partitions of all days."""

    name: str
    day: str | None
    general_name: str
    definition: str


def catalog_differences(connection: psycopg.Connection[Any]) -> list[str]:
    """Return what differs from a fresh database, as ``added|changed|missing <object>``, sorted.

    An empty list means that every guard is as designed. Any role that may connect can ask; the rows
    of ``celerytrail.steps`` are compared for one that may read them, as the verifier may. Inside a transaction it changes nothing of it. Raises psycopg.Error where the catalog cannot be read.
    """
    # Rolled back, so that the settings it reads with do not stay.
    with connection.transaction(force_rollback=True):
        unlike = _unlike_migrations(connection)
        if unlike:
            return unlike
        found = read_catalog(connection)
        expected = _expected()
        with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
            if not _knows_steps(cursor):
                # A table that is gone, or that a role lost its right to, is a difference of its own.
                expected = {
                    name: texts for name, texts in expected.items() if not name.startswith("row ")
                }
    return compare(found, expected)


def read_catalog(connection: psycopg.Connection[Any]) -> list[Item]:
    """Return the objects of the connected database. Leaves settings in the transaction it is in."""
    connection.execute(queries("catalog")["settle_session"])
    text = files("celerytrail.sql").joinpath("catalog.sql").read_bytes()
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        rows = cursor.execute(text).fetchall()
        steps = (
            cursor.execute(queries("catalog")["steps"]).fetchall() if _knows_steps(cursor) else []
        )
    return [
        Item(name, day, general_name, _short(definition))
        for name, day, general_name, definition in rows
    ] + [Item(name, None, name, _short(definition)) for name, definition in steps]


def compare(found: Iterable[Item], expected: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the differences between objects and, by general name, their allowed definitions."""
    differences = set()
    seen: dict[str | None, set[str]] = {None: set()}
    for item in found:
        seen.setdefault(item.day, set()).add(item.general_name)
        allowed = expected.get(item.general_name)
        if allowed is None:
            differences.add(f"added {item.name}")
        elif item.definition not in allowed:
            differences.add(f"changed {item.name}")
    for day, names in seen.items():
        for name in expected:
            # A day may be dropped or not made yet; one that is there must be there entirely.
            if ("<day>" in name) is (day is not None) and name not in names:
                differences.add(f"missing {name.replace('<day>', (day or '').replace('-', ''))}")
    return sorted(differences)


def write_catalog(dsns: Sequence[str], path: Path) -> int:
    """Migrate the empty databases at ``dsns`` and write what all of them hold to ``path``.

    An object whose text differs between them gets all its texts. Returns the number of objects.
    Raises SqlError where a database cannot be migrated.
    """
    allowed: dict[str, set[str]] = {}
    for dsn in dsns:
        migrate(dsn)
        with (
            connect(dsn, application_name="celerytrail catalog") as connection,
            connection.transaction(force_rollback=True),
        ):
            for item in read_catalog(connection):
                allowed.setdefault(item.general_name, set()).add(item.definition)
    text = json.dumps({name: sorted(allowed[name]) for name in sorted(allowed)}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return len(allowed)


@cache
def _expected() -> Mapping[str, Sequence[str]]:
    text = files("celerytrail.sql").joinpath("catalog.json").read_text("utf-8")
    found: dict[str, list[str]] = json.loads(text)
    return found


def _unlike_migrations(connection: psycopg.Connection[Any]) -> list[str]:
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        applied: dict[int, str] = dict(cursor.execute(queries("catalog")["migrations"]).fetchall())
    known = {migration.id: migration.name for migration in migrations()}
    return [
        f"added migration {name}" for id_, name in applied.items() if known.get(id_) != name
    ] + [f"missing migration {name}" for id_, name in known.items() if id_ not in applied]


def _knows_steps(cursor: psycopg.Cursor[Any]) -> bool:
    return cursor.execute(queries("catalog")["steps_readable"]).fetchone() == (True,)


def _short(definition: str) -> str:
    if len(definition) <= _READABLE and "\n" not in definition:
        return definition
    return f"sha256:{sha256(definition.encode()).hexdigest()}"


@click.command()
@click.option("--dsn", "dsns", multiple=True, required=True, help="An empty database; repeatable.")
@click.option("--write", is_flag=True, required=True, help="Migrate them and write catalog.json.")
def main(dsns: tuple[str, ...], write: bool) -> None:
    """Write catalog.json from fresh databases, one for each supported version of Postgres."""
    path = Path(__file__).with_name("catalog.json")
    click.echo(f"{write_catalog(dsns, path)} objects in {path}")


if __name__ == "__main__":
    main()
