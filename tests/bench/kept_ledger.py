"""A filled ledger on a server of its own, in a directory where it is kept to be asked again, or for once."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.migrate import migrate
from tests.bench.bench_server import new_ledger, server_in
from tests.bench.filled_ledger import TASKS, Filled, fill
from tests.span_rows import SHOP

DATABASE = "filled"


@contextmanager
def kept_ledger(
    which: str, tasks: int = TASKS, keep: Path | None = None
) -> Iterator[tuple[EmbeddedPostgres, Filled]]:
    """Run a server with a ledger of so many tasks in its database ``filled``, and say what is in it.

    With ``keep`` the data stays in that directory: what an earlier call completed there is used again, with
    the migrations that came since, and what was cut off is made anew. Raises SystemExit when what is kept
    there has another number of tasks.
    """
    if keep is None:
        with (
            tempfile.TemporaryDirectory(prefix="celerytrail-bench-") as directory,
            kept_ledger(which, tasks, Path(directory)) as made,
        ):
            yield made
        return
    said = keep / "filled.json"
    if said.exists():
        filled = Filled(**json.loads(said.read_text()))
        # A chord is written whole, so there may be some more.
        if not tasks <= filled.tasks < tasks + 200:
            raise SystemExit(
                f"{keep} has {filled.tasks:,} tasks, not {tasks:,}: name another directory"
            )
        with server_in(keep, which, "2GB") as server:
            migrate(server.dsn(DATABASE))
            yield server, filled
        return
    shutil.rmtree(keep / "postgres", ignore_errors=True)
    keep.mkdir(parents=True, exist_ok=True)
    with server_in(keep, which, "2GB") as server:
        token = new_ledger(server, DATABASE, deployment=SHOP)
        filled = fill(server.dsn(DATABASE, "celerytrail_sink"), token, tasks)
        with psycopg.connect(server.dsn(DATABASE), autocommit=True) as connection:
            connection.execute(b"VACUUM ANALYZE")
            connection.execute(b"CHECKPOINT")
        said.write_text(json.dumps(asdict(filled)))
        yield server, filled
