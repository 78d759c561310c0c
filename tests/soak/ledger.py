"""``python -m tests.soak.ledger``: writers and a verifier on a ledger whose server is killed again and again.

Prints one JSON line; ends with 1 when a row is missing or double, or a verification raised an alarm.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.migrate import migrate
from tests.databases import MigratedDatabase
from tests.processes import exit_on_sigterm
from tests.soak.__main__ import Progress
from tests.soak.ledger_soak import LedgerSoak, Plan
from tests.span_rows import NOON


def main() -> int:
    """Run one soak on a server of its own; return the exit code."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(prog="python -m tests.soak.ledger", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (10)")
    parser.add_argument("--writers", type=int, default=4, help="how many at a time (4)")
    parser.add_argument("--kill-every", type=float, default=60, help="seconds between kills (60)")
    parser.add_argument("--seed", type=int, help="of batches and kills; a new one if not given")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    directory = Path(tempfile.mkdtemp(prefix="celerytrail-ledger-soak-"))
    directory.chmod(0o711)  # the database's user is another one
    progress = Progress()
    plan = Plan(given.writers, given.minutes * 60, 10**9, given.kill_every, seed)
    try:
        with EmbeddedPostgres(directory / "postgres") as server:
            migrate(server.create_database("soak"))
            empty = MigratedDatabase(server, "soak", b"")
            empty.rows("SELECT celerytrail.ensure_partitions(%s - 1, current_date)", NOON.date())
            database = MigratedDatabase(server, "soak", empty.new_token(name="shop"))
            outcome = LedgerSoak(database, plan, progress.say).run()
    finally:
        progress.end()
        shutil.rmtree(directory, ignore_errors=True)
    said = asdict(outcome) | {"alarms": outcome.alarms[:20], "seed": seed, "passed": outcome.passed}
    print(json.dumps(said))
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
