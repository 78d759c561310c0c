"""Pool children that die: the failure of their task, and the worker, say how."""

from __future__ import annotations

import pytest

from tests.scenarios.play import Stage
from tests.scenarios.table import PREFORK, TARGETS, Target

FORKING = [target for target in TARGETS if target.pool == PREFORK]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HOW: tuple[tuple[str, int, str | None], ...] = (
    ("child SIGKILL", -9, "SIGKILL"),
    ("child SIGKILL, acks_late", -9, "SIGKILL"),
    ("child os._exit", 3, None),
)


@pytest.mark.parametrize("target", FORKING, ids=str)
@pytest.mark.parametrize(("name", "exit_code", "signal"), HOW, ids=[one[0] for one in HOW])
def test_a_failure_says_how_the_child_ended(
    stage: Stage, target: Target, name: str, exit_code: int, signal: str | None
) -> None:
    played = stage.played(target)
    told = played.lost_children[str(played.ids[name])]
    ((_, pid),) = played.ran_in[name]
    assert told["celery.child.pid"] == pid
    assert told["celery.child.exit_code"] == exit_code
    assert told.get("celery.child.signal") == signal


@pytest.mark.parametrize("target", FORKING, ids=str)
def test_a_task_that_was_put_back_failed_with_its_last_child(stage: Stage, target: Target) -> None:
    """It ran in two children, and the main process knows of one run: both deaths are told of."""
    played = stage.played(target)
    name = "child os._exit, not accepted"
    (_, first), (_, last) = played.ran_in[name]
    assert played.lost_children[str(played.ids[name])]["celery.child.pid"] == last != first
    codes = {one["celery.child.pid"]: one.get("celery.child.exit_code") for one in played.children}
    assert (codes[first], codes[last]) == (3, 3)


@pytest.mark.parametrize("target", FORKING, ids=str)
def test_a_child_that_is_out_of_time_is_named(stage: Stage, target: Target) -> None:
    played = stage.played(target)
    told = played.lost_children[str(played.ids["hard time limit"])]
    ((_, pid),) = played.ran_in["hard time limit"]
    assert told["celery.child.pid"] == pid


@pytest.mark.parametrize("target", FORKING, ids=str)
def test_each_dead_child_is_told_of_once(stage: Stage, target: Target) -> None:
    """Also that of a task which nothing but its requeueing tells of."""
    played = stage.played(target)
    signals = {one["celery.child.pid"]: one.get("celery.child.signal") for one in played.children}
    assert len(signals) == len(played.children)
    for name in (
        "child SIGKILL",
        "child SIGKILL, acks_late",
        "child SIGKILL, reject_on_worker_lost",
        "revoke(terminate=True) SIGKILL, running",
    ):
        assert "SIGKILL" in {signals.get(pid) for _, pid in played.ran_in[name]}, name
    for name in ("child os._exit", "hard time limit"):
        assert {pid for _, pid in played.ran_in[name]} & signals.keys(), name
