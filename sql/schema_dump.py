"""Writes sql/schema.sql: what the migrations make of an empty database, for people to read.

It is what ``pg_dump`` of one server version says, so a dump compares only with one of the same
version; ``catalog.py`` is the comparison that holds on every version.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click

from celerytrail.sql.connection import parse_dsn
from celerytrail.sql.errors import SqlError
from celerytrail.sql.migrate import migrate

DUMP_SECONDS = 60

# Day partitions depend on when it runs, all else on the migrations alone.
_DAYS = ("celerytrail.spans_2*", "celerytrail.leaf_groups_2*", "celerytrail.payloads_2*")
_NOISE = re.compile(
    r"""(?mx)
    ^--\ Dumped\ .*\n           # versions of server and pg_dump
    | ^\\(un)?restrict\ .*\n    # a random word of each dump
    | ^--\n                     # the frame around each comment
    """
)


class DumpFailed(SqlError):
    """pg_dump ended with an error."""


def dump_schema(dsn: str, pg_dump: Path) -> str:
    """Return the schema of the database at ``dsn`` as SQL, without what differs from day to day.

    ``pg_dump`` is a program of the server's version or a newer one. Raises DumpFailed.
    """
    parameters = parse_dsn(dsn)
    environment = {"LC_ALL": "C", "PGTZ": "UTC"}
    # Not on the command line, which every user of the machine can read.
    for name, variable in (
        ("password", "PGPASSWORD"),
        ("host", "PGHOST"),
        ("port", "PGPORT"),
        ("user", "PGUSER"),
        ("dbname", "PGDATABASE"),
    ):
        if parameters.get(name) is not None:
            environment[variable] = str(parameters[name])
    excluded = [f"--exclude-table={pattern}" for pattern in _DAYS]
    done = subprocess.run(
        [str(pg_dump), "--schema-only", "--schema=celerytrail*", *excluded],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DUMP_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise DumpFailed(f"pg_dump ended with {done.returncode}: {done.stderr.strip()}")
    text = _NOISE.sub("", done.stdout)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@click.command()
@click.option("--dsn", required=True, help="An empty database of the newest supported version.")
@click.option("--pg-dump", required=True, type=click.Path(path_type=Path), help="The program.")
@click.option("--write", is_flag=True, required=True, help="Migrate it and write schema.sql.")
def main(dsn: str, pg_dump: Path, write: bool) -> None:
    """Write schema.sql from a fresh database."""
    migrate(dsn)
    path = Path(__file__).with_name("schema.sql")
    path.write_text(dump_schema(dsn, pg_dump), encoding="utf-8")
    click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
