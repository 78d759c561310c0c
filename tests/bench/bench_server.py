"""A Postgres server and migrated databases for a benchmark, chained or not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.postgres_binaries import find_bin_dir
from celerytrail.exporter.deployment import Deployment
from celerytrail.sql.migrate import migrate
from celerytrail.sql.tokens import create_token, token_hash

BENCH = Deployment("bench", "orders", "")
# The trigger has to stay, or the sink's guards refuse: it only does nothing.
UNCHAINED = """
    CREATE OR REPLACE FUNCTION celerytrail.seal_spans() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'
"""


@contextmanager
def bench_server(which: str, shared_buffers: str = "512MB") -> Iterator[EmbeddedPostgres]:
    """Run a server of that kind with durable commits, and take everything away afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="celerytrail-bench-") as directory,
        server_in(Path(directory), which, shared_buffers) as server,
    ):
        yield server


@contextmanager
def server_in(
    directory: Path, which: str, shared_buffers: str = "512MB"
) -> Iterator[EmbeddedPostgres]:
    """Run such a server on the data of a directory that is there, and leave the data there."""
    # The server's unprivileged user has to pass through it.
    directory.chmod(0o711)
    settings = {"shared_buffers": shared_buffers, "max_wal_size": "4GB"}
    with EmbeddedPostgres(directory / "postgres", bin_dir=which, settings=settings) as server:
        yield server


def new_ledger(
    server: EmbeddedPostgres, name: str, *, chained: bool = True, deployment: Deployment = BENCH
) -> bytes:
    """Make a migrated database and return the SHA-256 of a token of the deployment."""
    server.create_database(name)
    migrate(server.dsn(name))
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        made = create_token(
            connection,
            name="bench",
            namespace=deployment.namespace,
            service=deployment.service,
            environment=deployment.environment,
        )
        if not chained:
            connection.execute(UNCHAINED.encode())
    return token_hash(made.token)


def described(server: EmbeddedPostgres, which: str) -> str:
    """Name the server, and whether its sha256 is OpenSSL's: the one without is several times slower."""
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute(
            b"SELECT current_setting('server_version'), current_setting('ssl_library')"
        ).fetchone()
    assert row is not None
    version, library = row
    built = f"built with {library}" if library else "built without OpenSSL"
    return f"PostgreSQL {version.split()[0]} ({which}, {built})"


def servers() -> list[str]:
    """Name the servers to measure on: the system's, and the wheel's."""
    found = []
    for which in ("system", "wheel"):
        try:
            find_bin_dir(which)
        except EmbeddedServerError:
            continue
        found.append(which)
    return found
