"""What `celerytrail verify --read-model` takes of memory and of the server's disk, by the size of the ledger.

``python -m tests.bench.read_model_memory --keep DIR --tasks N`` takes the ledger that ``ledger_queries`` keeps in that
directory, or fills one. The process's memory is the most that was resident; the backend's is what was its own, without shared
buffers; temporary files are the most that there were at a time, and all that was written.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from celerytrail.sql.read_model_slices import ROWS_IN_A_SLICE
from tests.bench.bench_server import described
from tests.bench.kept_ledger import DATABASE, kept_ledger

_BACKENDS = """
SELECT a.pid FROM pg_stat_activity a
WHERE a.datname = %s AND a.application_name = 'celerytrail verify'
UNION ALL
SELECT w.pid FROM pg_stat_activity w WHERE w.backend_type = 'parallel worker'
"""
_CHECK = """
import os, sys
from celerytrail.sql.read_model_check import check_read_model
found = check_read_model(os.environ["CELERYTRAIL_DSN"], rows_in_a_slice=int(sys.argv[1]))
print(len(found.slices), "slices,", sum(found.differing.values()), "rows differ")
"""
MIB = 1024 * 1024


def main() -> None:
    """Measure one ledger and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--tasks", type=int, default=60_000)
    parser.add_argument("--server", default="system")
    parser.add_argument("--rows-in-a-slice", type=int, default=ROWS_IN_A_SLICE)
    given = parser.parse_args()
    with kept_ledger(given.server, given.tasks, given.keep) as (server, filled):
        print(f"{described(server, given.server)}: {filled.tasks:,} tasks, {filled.spans:,} spans")
        with psycopg.connect(server.dsn(DATABASE), autocommit=True) as watch:
            before = _written(watch)
            began = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-c", _CHECK, str(given.rows_in_a_slice)],
                env={**os.environ, "CELERYTRAIL_DSN": server.dsn(DATABASE, "celerytrail_verifier")},
            )
            own = backend = temporary = 0
            while process.poll() is None:
                own = max(own, _kib(process.pid, "VmHWM"))
                pids = [pid for (pid,) in watch.execute(_BACKENDS, [DATABASE])]
                backend = max(backend, sum(_kib(pid, "RssAnon") for pid in pids))
                temporary = max(temporary, _there(watch))
                time.sleep(0.1)
            took = time.monotonic() - began
            # A backend reports what it wrote when it ends.
            time.sleep(1.5)
            written = _written(watch) - before
        print(
            f"exit code {process.returncode}, {took:.0f} s: process {own / 1024:.0f} MiB, backend"
            f" {backend / 1024:.0f} MiB, temporary files {temporary / MIB:,.0f} MiB at most,"
            f" {written / MIB:,.0f} MiB in all"
        )


def _kib(pid: int, name: str) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)


def _there(watch: psycopg.Connection) -> int:
    row = watch.execute(b"SELECT coalesce(sum(size), 0)::int8 FROM pg_ls_tmpdir()").fetchone()
    assert row is not None
    return int(row[0])


def _written(watch: psycopg.Connection) -> int:
    row = watch.execute(
        "SELECT temp_bytes FROM pg_stat_database WHERE datname = %s", [DATABASE]
    ).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
