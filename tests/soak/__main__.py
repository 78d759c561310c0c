"""``python -m tests.soak``: tasks through workers, sinks and a database that die, and nothing is lost.

Prints one JSON line; ends with 1 when anything is missing, double or invented, or the chain broken.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.pipeline import Pipeline
from tests.processes import exit_on_sigterm
from tests.soak.soak import Plan, Soak

LINE_SECONDS = 10.0


class Progress:
    """Shows one line: in place on a terminal, else every ten seconds."""

    def __init__(self) -> None:
        self._in_place = sys.stderr.isatty()
        self._next = 0.0

    def say(self, text: str) -> None:
        """Show how things stand."""
        if self._in_place:
            print(f"\r\x1b[Ksoak: {text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            print(f"soak: {text}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._in_place:
            print(file=sys.stderr)


def main() -> int:
    """Run one soak on servers of its own; return the exit code."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--tasks", type=int, default=200_000, help="how many (200,000)")
    parser.add_argument("--seed", type=int, help="of workload and faults; a new one if not given")
    parser.add_argument("--minutes", type=float, default=90, help="give up after so many (90)")
    parser.add_argument("--keep", action="store_true", help="keep logs and databases")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    directory = Path(tempfile.mkdtemp(prefix="celerytrail-soak-"))
    directory.chmod(0o711)  # the database's user is another one
    progress = Progress()
    progress.say(f"seed {seed}, in {directory}")
    passed = False
    try:
        with (
            EmbeddedPostgres(directory / "postgres") as postgres,
            EmbeddedValkey(directory / "valkey") as valkey,
        ):
            postgres.create_database("soak")
            pipeline = Pipeline(postgres, "soak", valkey.url, directory / "pipeline")
            try:
                pipeline.prepare()
                plan = Plan(given.tasks, seed, limit_seconds=given.minutes * 60)
                outcome = Soak(pipeline, plan, progress.say).run()
            finally:
                pipeline.close()
        progress.end()
        print(outcome.as_json())
        passed = outcome.passed()
    finally:
        if given.keep or not passed:
            print(f"soak: logs, spool and database are in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
