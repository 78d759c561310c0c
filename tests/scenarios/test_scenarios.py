"""Each scenario on each worker it means something on: what the ledger says when it is over."""

from __future__ import annotations

import pytest

from celerytrail.exporter.attributes import STEP_BY_NAME, STEPS
from tests.celery_versions import need_eventlet
from tests.scenarios.expected import LOST
from tests.scenarios.play import Stage, same
from tests.scenarios.table import EVENTLET, TARGETS, Scenario, Target, played_on

ROWS = [(target, one) for target in TARGETS for one in played_on(target)]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def need(target: Target) -> None:
    if target.pool == EVENTLET:
        # It is abandoned by its authors: the newest Python may not have it.
        need_eventlet()


@pytest.mark.parametrize(
    ("target", "scenario"), ROWS, ids=lambda one: getattr(one, "name", str(one))
)
def test_the_ledger_says_what_happened(stage: Stage, target: Target, scenario: Scenario) -> None:
    need(target)
    played = stage.played(target)
    expected, found = scenario.on(target), played.found[scenario.name]
    assert (found.state, list(found.runs), sorted(found.steps)) == (
        expected.state,
        list(expected.runs),
        sorted(expected.steps),
    ), played.ids[scenario.name]
    assert same(found, expected)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_what_has_ended_has_an_end(stage: Stage, target: Target) -> None:
    """No scenario leaves a task without an end; an end that was concluded is marked."""
    need(target)
    played = stage.played(target)
    for scenario in played_on(target):
        expected = scenario.on(target)
        if expected.state is None:
            continue
        found = played.found[scenario.name]
        assert found.state is not None
        assert STEP_BY_NAME[found.state].ends, scenario.name
        assert played.finished[scenario.name], scenario.name
        assert played.inferred[scenario.name] is expected.inferred, scenario.name
        assert played.runs_inferred[scenario.name] == [run == LOST for run in found.runs]


def test_an_end_that_is_concluded_gives_way_to_every_reported_one() -> None:
    ends = [step for step in STEPS if step.subject == "task" and step.ends]
    concluded = STEP_BY_NAME[LOST]
    sends_that_failed = ("send_failed",)  # nothing was received, so nothing can be lost
    # These are about one run, and are told by its own process: then that run is not concluded.
    of_one_run = ("aborted", "rejected")
    assert [
        step.name
        for step in ends
        if step.rank <= concluded.rank and step.name not in (LOST, *sends_that_failed, *of_one_run)
    ] == []


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_no_stream_has_a_gap(stage: Stage, target: Target) -> None:
    need(target)
    played = stage.played(target)
    assert {stream["process_kind"] for stream in played.streams} >= {"worker", "publisher"}
    assert [stream for stream in played.streams if stream["missing"]] == []
    assert "the task is not affected" not in played.logs


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_eager_tasks_run_once_where_they_are_called(stage: Stage, target: Target) -> None:
    need(target)
    played = stage.played(target)
    for scenario in played_on(target):
        if scenario.name.startswith("eager"):
            ran_in = played.ran_in[scenario.name]
            assert {kind for kind, _ in ran_in} == {"publisher"}, scenario.name
            assert len(ran_in) == len(scenario.expected.runs), scenario.name


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_only_killed_processes_leave_without_a_goodbye(stage: Stage, target: Target) -> None:
    need(target)
    played = stage.played(target)
    silent = [stream for stream in played.streams if stream["state"] == "unterminated"]
    told = {one["celery.child.pid"] for one in played.children}
    # The other workers are stopped so that their children cannot say anything any more.
    gentle = [one for one in silent if one["worker"].startswith(("first", "publisher"))]
    assert {stream["pid"] for stream in gentle} <= told
    assert played.killed[0] in {stream["pid"] for stream in silent}
