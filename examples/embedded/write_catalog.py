"""Write sql/catalog.json from fresh databases: ``python -m celerytrail.examples.embedded.write_catalog``.

Every server that can be found makes two: one migrated by a superuser, one by an administrator who
is none, as managed servers have. Each needs its own cluster, because roles belong to the cluster.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psycopg

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql import catalog

ADMINISTRATOR = "administrator"


def write_catalog(path: Path | None = None) -> int:
    """Write the catalog of the system's Postgres and the wheel's; return the number of objects.

    Raises EmbeddedServerError where a server cannot be found or started.
    """
    target = path or Path(catalog.__file__).with_name("catalog.json")
    with tempfile.TemporaryDirectory(prefix="celerytrail-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o711)
        dsns = []
        for kind in ("system", "wheel"):
            for migrator in ("postgres", ADMINISTRATOR):
                place = Path(directory) / f"{kind}-{migrator}"
                server = stack.enter_context(EmbeddedPostgres(place, bin_dir=kind))
                dsns.append(fresh_database(server, migrator))
        return catalog.write_catalog(dsns, target)


def fresh_database(server: EmbeddedPostgres, migrator: str) -> str:
    """Create an empty database for who will migrate it, a role without superuser made if needed."""
    dsn = server.create_database("fresh")
    if migrator == ADMINISTRATOR:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE ROLE administrator LOGIN CREATEROLE")
            connection.execute("ALTER DATABASE fresh OWNER TO administrator")
    return server.dsn("fresh", migrator)


if __name__ == "__main__":
    try:
        print(f"{write_catalog()} objects")
    except EmbeddedServerError as error:
        sys.exit(str(error))
