"""What the views say of every canvas, run by real workers of each Celery and stored by the real sink.

Which places belong together is in ``canvas_table.py``; how they end is written down here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.pipeline import Pipeline
from tests.celery_versions import CELERY_VERSIONS, interpreter
from tests.integration.agent.canvas_table import TABLE
from tests.integration.agent.test_canvases import HERE, MISSING
from tests.waiting import wait_until

pytest_plugins = ["tests.databases"]

Row = dict[str, Any]

CASES = sorted(
    case
    for case, canvas in TABLE.items()
    if canvas.roots and not any(case in lacking for lacking in MISSING.values())
)

OTHERWISE = {
    "header_fails": ("failed", "h1"),
    "body_fails": ("failed", "body"),
    "callbacks": ("partially failed", "m1"),
}
"""How a canvas ends that does not succeed, and the place that failed first."""

LINES = {"chain", "chain_with_group", "chain_to_group", "link", "spawned"}
"""Canvases that begin outside of groups with a task that one other follows, or several links."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of all canvases that one Celery ran, and what their tasks wrote down."""

    version: str
    notes: list[Row]
    members: list[Row]
    workflows: dict[str, Row]
    groups: dict[str, Row]

    def places(self, case: str) -> dict[str, set[str]]:
        """Return the places of each task of a case."""
        found: dict[str, set[str]] = {}
        for note in self.notes:
            if note["case"] == case and "name" in note and note["id"]:
                found.setdefault(note["id"], set()).add(note["name"])
        return found

    def members_of(self, case: str) -> list[Row]:
        """Return the tasks of a case as members of workflows."""
        places = self.places(case)
        return [row for row in self.members if row["task_id"] in places]

    def workflows_of(self, case: str) -> list[Row]:
        """Return the workflows that the tasks of a case are in."""
        ids = {row["workflow_id"] for row in self.members_of(case)}
        return [self.workflows[one] for one in sorted(ids)]


def looked_at(pipeline: Pipeline, version: str) -> Stored:
    workflows = pipeline.rows("SELECT * FROM celerytrail_views.workflows")
    groups = pipeline.rows("SELECT * FROM celerytrail_views.groups")
    return Stored(
        version,
        pipeline.recorded(),
        pipeline.rows("SELECT * FROM celerytrail_views.workflow_members"),
        {row["workflow_id"]: row for row in workflows},
        {row["group_id"]: row for row in groups},
    )


@pytest.fixture(scope="module", params=CELERY_VERSIONS)
def stored(
    request: pytest.FixtureRequest,
    postgres: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stored]:
    """All canvases, run to their ends."""
    version = str(request.param)
    name = f"test_{uuid.uuid4().hex[:12]}"
    directory = tmp_path_factory.mktemp("canvases")
    postgres.create_database(name)
    try:
        with EmbeddedValkey(directory / "valkey") as valkey:
            pipeline = Pipeline(
                postgres,
                name,
                valkey.url,
                directory / "pipeline",
                python=interpreter(version),
                apps=HERE,
                app="canvas_app",
            )
            try:
                pipeline.prepare()
                worker = pipeline.start_worker("-Q", "canvas")
                pipeline.run("publish_canvases.py", "[]")
                wanted = {(case, place) for case in CASES for place in TABLE[case].roots}
                wait_until(
                    lambda: wanted <= {(n["case"], n.get("name")) for n in pipeline.recorded()},
                    "every place of every canvas ran",
                    200,
                )
                pipeline.wait_for_ends()
                pipeline.stop_and_store(worker)
                found = looked_at(pipeline, version)
            finally:
                pipeline.close()
        yield found
    finally:
        postgres.drop_database(name)


@pytest.mark.parametrize("case", CASES)
def test_places_that_belong_together_are_one_workflow(stored: Stored, case: str) -> None:
    expected: dict[str, set[str]] = {}
    for place, roots in TABLE[case].roots.items():
        # A task that was replaced by a group has an earlier send outside of it.
        symbol = max(root or "" for root in roots)
        expected.setdefault(symbol, set()).add(place)
    places = stored.places(case)
    found: dict[str, set[str]] = {}
    for row in stored.members_of(case):
        found.setdefault(row["workflow_id"], set()).update(places[row["task_id"]])
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected.values()))


@pytest.mark.parametrize("case", CASES)
def test_how_each_canvas_ended(stored: Stored, case: str) -> None:
    state, culprit = OTHERWISE.get(case, ("succeeded", None))
    places = stored.places(case)
    for workflow in stored.workflows_of(case):
        assert (workflow["state"], workflow["unfinished"]) == (state, 0)
        failed_first = places.get(workflow["culprit_task_id"])
        assert failed_first == (None if culprit is None else {culprit})
        assert workflow["needs_attention"] is (culprit is not None)


@pytest.mark.parametrize("case", CASES)
def test_what_kind_each_canvas_is(stored: Stored, case: str) -> None:
    inside = {root for roots in TABLE[case].roots.values() for root in roots if root}
    kinds = {"chain" if case in LINES else "task"} if _begins_outside(case) else set()
    if inside:
        kinds.add(TABLE[case].groups[0].kind)
    assert {workflow["kind"] for workflow in stored.workflows_of(case)} == kinds


def _begins_outside(case: str) -> bool:
    return any(roots == {None} for roots in TABLE[case].roots.values())


AFTER = {
    "body_is_chain": ({"body"}, {"h0", "h1"}, {"z"}),
    "chain_with_group": ({"body"}, {"m0", "m1", "m2"}, {"z"}),
    "chord": ({"body"}, {"h0", "h1", "h2"}, set()),
    "chain_of_chords": ({"body0", "body1"}, {"x0", "x1", "y0", "y1"}, set()),
}
"""Of a canvas the bodies, the headers, and what else there is."""


@pytest.mark.parametrize("case", AFTER)
def test_what_comes_after_a_chord_is_no_header_of_it(stored: Stored, case: str) -> None:
    places = stored.places(case)
    roles: dict[str, set[str]] = {"body": set(), "header": set(), "child": set()}
    for row in stored.members_of(case):
        if row["group_id"] is not None or row["role"] == "child":
            roles[row["role"]].update(places[row["task_id"]])
    assert (roles["body"], roles["header"], roles["child"]) == AFTER[case]


@pytest.mark.parametrize(
    ("case", "count"),
    [("chord", 3), ("body_is_chain", 2), ("chord_of_100", 100), ("body_fails", 2)],
)
def test_a_chord_has_as_many_members_as_headers(stored: Stored, case: str, count: int) -> None:
    (workflow,) = stored.workflows_of(case)
    group = stored.groups[workflow["workflow_id"]]
    assert (group["members"], group["size"], workflow["headers"]) == (count, count, count)
