"""Write the files that are made from the migrations, or check that they are up to date.

``python -m celerytrail.examples.generated write|verify``. ``sql/schema.sql`` is the dump of a fresh
database of the wheel's Postgres; ``sql/catalog.json`` holds what the oldest supported Postgres, as
installed on the system, and the wheel's make of it.
"""

from __future__ import annotations

import difflib
import sys
import tempfile
from pathlib import Path

import click

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.postgres_binaries import (
    OLDEST_MAJOR,
    find_bin_dir,
    major_version,
)
from celerytrail.examples.embedded.write_catalog import write_catalog
from celerytrail.sql import schema_dump
from celerytrail.sql.migrate import migrate

_FOLDER = Path(schema_dump.__file__).parent
_SHOWN_LINES = 40


@click.command()
@click.argument("what", type=click.Choice(["write", "verify"]))
def main(what: str) -> None:
    """Write the generated files, or fail where one is not what would be written."""
    if what == "write":
        for name in _generate(_FOLDER):
            click.echo(f"wrote sql/{name}")
        return
    with tempfile.TemporaryDirectory(prefix="celerytrail-") as directory:
        stale = [name for name in _generate(Path(directory)) if _differs(name, Path(directory))]
    if stale:
        sys.exit(f"not up to date: {', '.join(f'sql/{name}' for name in stale)}; run make generate")


def _generate(folder: Path) -> list[str]:
    """Write what can be made on this machine into ``folder`` and return the names."""
    (folder / "schema.sql").write_text(_schema(), encoding="utf-8")
    if not _oldest_is_installed():
        # The tests still compare the file with a database of the server that there is.
        click.echo(
            f"left out: sql/catalog.json needs Postgres {OLDEST_MAJOR} installed on the system",
            err=True,
        )
        return ["schema.sql"]
    write_catalog(folder / "catalog.json")
    return ["schema.sql", "catalog.json"]


def _oldest_is_installed() -> bool:
    try:
        return major_version(find_bin_dir("system")) == OLDEST_MAJOR
    except EmbeddedServerError:
        return False


def _schema() -> str:
    with tempfile.TemporaryDirectory(prefix="celerytrail-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres(Path(directory) / "postgres", bin_dir="wheel") as server:
            dsn = server.create_database("fresh")
            migrate(dsn)
            return schema_dump.dump_schema(dsn, server.bin_dir / "pg_dump")


def _differs(name: str, folder: Path) -> bool:
    made = (folder / name).read_text("utf-8").splitlines()
    committed = (_FOLDER / name).read_text("utf-8").splitlines()
    difference = list(
        difflib.unified_diff(committed, made, f"sql/{name}", "generated", lineterm="")
    )
    for line in difference[:_SHOWN_LINES]:
        click.echo(line, err=True)
    return bool(difference)


if __name__ == "__main__":
    main()
