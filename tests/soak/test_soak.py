"""The bounded soak, and that it tells when something was lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.pipeline import Pipeline
from tests.soak.books import Event, Written, balance
from tests.soak.soak import Outcome, Plan, Soak

SEED = 20260101


@contextmanager
def soaking(
    server_directory: Path, valkey: EmbeddedValkey, postgres_bin: str | None, directory: Path
) -> Iterator[Pipeline]:
    """Make a pipeline on a database server of its own, which the soak kills."""
    name = f"soak-{directory.name}"
    with EmbeddedPostgres(server_directory / name, bin_dir=postgres_bin) as server:
        server.create_database("soak")
        pipeline = Pipeline(server, "soak", valkey.url, directory / "pipeline")
        try:
            pipeline.prepare()
            yield pipeline
        finally:
            pipeline.close()


def quiet(text: str) -> None:
    """Show nothing."""


def soak(pipeline: Pipeline, plan: Plan) -> Outcome:
    return Soak(pipeline, plan, quiet).run()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_double_while_everything_is_killed(
    server_directory: Path, valkey: EmbeddedValkey, postgres_bin: str | None, tmp_path: Path
) -> None:
    with soaking(server_directory, valkey, postgres_bin, tmp_path) as pipeline:
        outcome = soak(pipeline, Plan(20_000, SEED, limit_seconds=600))
    assert outcome.balance.published >= 19_000
    assert outcome.balance.ran >= 19_000
    assert outcome.balance.spans >= 4 * outcome.balance.ran - 500
    assert sum(outcome.faults.values()) >= 5
    assert outcome.passed(), outcome.as_json()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_lost_segment_is_told(
    server_directory: Path, valkey: EmbeddedValkey, postgres_bin: str | None, tmp_path: Path
) -> None:
    plan = Plan(1500, SEED, limit_seconds=300, lose_a_segment=True, spool_bytes=8 << 20)
    with soaking(server_directory, valkey, postgres_bin, tmp_path) as pipeline:
        outcome = soak(pipeline, plan)
        # A book that knows of more than the ledger, or of less, is not even either.
        written = Written.read(pipeline.record)
        event = Event("a task that nobody sent", 0, 1)
        written.published.add(event.task_id)
        written.sent[event] += 1
        written.ran[event] += 1
        more = balance(pipeline, written, set())
        spared = balance(pipeline, written, {1})
    assert not outcome.passed()
    assert outcome.segment_events > 10
    assert outcome.balance.missing == outcome.segment_events
    assert outcome.balance.double == 0
    assert outcome.chain == "clean"
    told = outcome.balance
    assert told.sends_missing + told.runs_missing + told.runs_without_end > 0
    assert more.tasks_missing == told.tasks_missing + 1
    assert more.sends_missing >= told.sends_missing + 1
    assert more.runs_missing == told.runs_missing + 1
    assert spared.runs_missing == more.runs_missing
