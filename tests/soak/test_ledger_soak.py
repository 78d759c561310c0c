"""The bounded soak of one ledger: nothing is lost, nothing reported, and a loss would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.sql.migrate import migrate
from tests.soak.ledger_soak import LedgerSoak, Outcome, Plan
from tests.span_rows import NOON

pytest_plugins = ["tests.databases"]


@pytest.mark.timeout(900)
def test_writers_a_verifier_and_a_server_that_is_killed(
    server_directory: Path, postgres_bin: str | None
) -> None:
    from tests.databases import MigratedDatabase

    with EmbeddedPostgres(server_directory / "ledger-soak", bin_dir=postgres_bin) as server:
        migrate(server.create_database("soak"))
        empty = MigratedDatabase(server, "soak", b"")
        empty.rows("SELECT celerytrail.ensure_partitions(%s - 1, current_date)", NOON.date())
        database = MigratedDatabase(server, "soak", empty.new_token(name="shop"))
        plan = Plan(writers=4, seconds=800, batches=60, kill_every_seconds=2, seed=20260101)
        outcome = LedgerSoak(database, plan, lambda text: None).run()
    assert outcome.passed, outcome
    assert outcome.batches == 4 * 60
    assert outcome.kills > 0


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(acknowledged=5, stored=4, verifications=1),
        Outcome(acknowledged=5, stored=6, verifications=1),
        Outcome(acknowledged=5, stored=5, verifications=1, alarms=["row altered"]),
        Outcome(acknowledged=5, stored=5, verifications=1, read_model_differs=True),
        Outcome(acknowledged=5, stored=5),
    ],
    ids=["lost", "double", "alarm", "read model", "nobody looked"],
)
def test_what_must_not_happen_does_not_pass(outcome: Outcome) -> None:
    assert not outcome.passed
