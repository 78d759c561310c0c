"""Chains with everything in them that Celery can do to a link, run by real workers of each Celery: done, or broken off."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.pipeline import Pipeline
from tests.celery_versions import CELERY_VERSIONS, interpreter
from tests.integration.agent.test_canvases import HERE
from tests.waiting import wait_until

pytest_plugins = ["tests.databases"]

WHOLE = (
    "plain", "retried", "sends", "publishes group", "publishes chord", "linked", "replaced task", "replaced group",
    "replaced chord", "replaced chain", "group", "chord",
)  # fmt: skip
"""What the link in the middle, or the last one, is or does in a chain that is not broken off."""

Ended = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module", params=CELERY_VERSIONS)
def ended(
    request: pytest.FixtureRequest,
    postgres: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ended]:
    """The workflows of all chains, by case and place, two minutes after their ends."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    directory = tmp_path_factory.mktemp("chains")
    postgres.create_database(name)
    try:
        with EmbeddedValkey(directory / "valkey") as valkey:
            pipeline = Pipeline(
                postgres,
                name,
                valkey.url,
                directory / "pipeline",
                python=interpreter(str(request.param)),
                apps=HERE,
                app="canvas_app",
            )
            try:
                yield _run(pipeline)
            finally:
                pipeline.close()
    finally:
        postgres.drop_database(name)


def _run(pipeline: Pipeline) -> Ended:
    pipeline.prepare()
    worker = pipeline.start_worker("-Q", "canvas")
    published = pipeline.run("publish_chains.py")
    assert {one["case"] for one in published} == {*WHOLE, "quits"}
    wait_until(
        lambda: (
            sum(note.get("name") == "z" for note in pipeline.recorded()) == len(WHOLE)
            and sum(note["case"] == "quits" for note in pipeline.recorded()) == 7
            and sum(note.get("name") == "rbody" for note in pipeline.recorded()) == 2
        ),
        "every chain ran",
        200,
    )
    pipeline.wait_for_ends()
    pipeline.stop_and_store(worker)
    # A chain is given a minute for its next link.
    pipeline.rows(
        "UPDATE celerytrail.tasks SET finished_at = finished_at - interval '2 minutes',"
        " updated_at = updated_at - interval '2 minutes' RETURNING 1"
    )
    found = {
        row["workflow_id"]: row
        for row in pipeline.rows("SELECT * FROM celerytrail_views.workflows")
    }
    return {(one["case"], one["where"]): found[one["id"]] for one in published}


@pytest.mark.parametrize("where", ["middle", "end"])
@pytest.mark.parametrize("case", WHOLE)
def test_a_chain_that_ran_to_its_end_has_succeeded(ended: Ended, case: str, where: str) -> None:
    workflow = ended[case, where]
    assert (workflow["kind"], workflow["state"]) == ("chain", "succeeded")


@pytest.mark.parametrize("where", ["middle", "end"])
def test_a_chain_that_broke_off_is_told_whatever_else_its_links_sent(
    ended: Ended, where: str
) -> None:
    workflow = ended["quits", where]
    assert (workflow["kind"], workflow["state"]) == ("chain", "broken off")
