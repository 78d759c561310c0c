"""Worker and shipper as services: stopped in their order nothing is lost; killed, it is found again."""

from __future__ import annotations

import os
import signal
from importlib.metadata import version

import pytest

from tests.acceptance.pipeline import CELERYTRAIL, Pipeline, Program
from tests.acceptance.test_outages import DOUBLES, MISSING
from tests.faults.captured import captured_in
from tests.faults.cgroups import ControlGroup, control_group
from tests.faults.test_container_stop import publish, states, stored
from tests.processes import kill
from tests.waiting import wait_until

HEARD = "SELECT * FROM celerytrail_views.heartbeats"


def start_shipper(pipeline: Pipeline, group: ControlGroup) -> Program:
    """Start ``celerytrail ship`` in a group, and wait until it is the shipper."""
    shipper = pipeline.start("shipper", [*group.enter(), CELERYTRAIL, "ship"], pipeline.environ())
    wait_until(lambda: shipper.said(" ships ") or not shipper.alive(), "the shipper runs")
    assert shipper.alive(), shipper.tail()
    return shipper


def stop_as_mixed(program: Program, group: ControlGroup) -> int:
    """Stop a unit with KillMode=mixed: SIGTERM to its main process, SIGKILL to what that leaves."""
    os.kill(program.pid, signal.SIGTERM)
    code = program.process.wait(90)
    group.kill()
    return code


@pytest.mark.slow
def test_units_that_are_stopped_in_their_order_deliver_everything(pipeline: Pipeline) -> None:
    """systemd stops in the reverse order of After=: the worker first, then the shipper."""
    with control_group() as workers, control_group() as shippers:
        shipper = start_shipper(pipeline, shippers)
        worker = pipeline.start_worker(before=workers.enter(), CELERYTRAIL_SHIPPER="off")
        publish(pipeline, 60, 0.2)
        wait_until(lambda: len(pipeline.recorded()) > 4, "tasks run")
        wait_until(
            lambda: {row["process_kind"] for row in pipeline.rows(HEARD)} == {"worker", "shipper"},
            "both were heard of",
        )
        assert len(workers.pids()) == 3
        assert len(shippers.pids()) == 1
        assert stop_as_mixed(worker, workers) == 0
        assert stop_as_mixed(shipper, shippers) == 0
    assert captured_in(pipeline.spool) == set()
    assert set(states(pipeline).values()) == {"ended"}
    last = {row["process_kind"]: row for row in pipeline.rows(HEARD)}
    assert {row["state"] for row in last.values()} == {"ended"}
    assert {row["version"] for row in last.values()} == {version("celerytrail")}
    shipper_said = last["shipper"]
    assert (shipper_said["spool_lag_ms"], shipper_said["rejected"]) == (0, 0)
    assert shipper_said["delivery_error"] is None
    assert last["worker"]["spool_bytes"] is not None
    assert pipeline.value(MISSING) == 0
    ran = {line["id"] for line in pipeline.recorded()}
    ended = pipeline.rows("SELECT task_id FROM celerytrail_views.runs WHERE state = 'succeeded'")
    assert ran == {row["task_id"] for row in ended}


@pytest.mark.slow
def test_a_group_that_is_killed_is_drained_by_the_next_shipper(pipeline: Pipeline) -> None:
    """Worker, children and the shipper that the worker started, all in one unit."""
    sink = next(program for program in pipeline.programs if program.name == "sink")
    with control_group() as unit:
        pipeline.start_worker(before=unit.enter())
        publish(pipeline, 300, 0.1)
        wait_until(lambda: len(stored(pipeline)) > 20, "events arrive")
        assert sink.stop() == 0
        wait_until(lambda: len(pipeline.recorded()) > 80, "the run is in its middle")
        assert len(unit.pids()) >= 4
        unit.kill()
    ran = {line["id"] for line in pipeline.recorded()}
    waiting = captured_in(pipeline.spool)
    assert len(waiting - stored(pipeline)) > 20
    pipeline.start_sink()
    with control_group() as shippers:
        shipper = start_shipper(pipeline, shippers)
        wait_until(lambda: waiting <= stored(pipeline), "all that was captured has arrived")
        wait_until(
            lambda: {states(pipeline).get(stream) for stream, _ in waiting} == {"unterminated"},
            "the killed processes are shown as gone without a goodbye",
        )
        assert stop_as_mixed(shipper, shippers) == 0
    runs = {row["task_id"] for row in pipeline.rows("SELECT task_id FROM celerytrail_views.runs")}
    assert ran <= runs
    assert pipeline.value(MISSING) == 0
    assert pipeline.value(DOUBLES) == 0


@pytest.mark.slow
def test_sigterm_to_a_whole_group_breaks_off_tasks_and_loses_nothing_that_was_captured(
    pipeline: Pipeline,
) -> None:
    """KillMode=control-group, systemd's default: the children get the signal too."""
    running = "SELECT count(*) FROM celerytrail_views.runs WHERE finished_at IS NULL"
    with control_group() as workers, control_group() as shippers:
        shipper = start_shipper(pipeline, shippers)
        worker = pipeline.start_worker(before=workers.enter(), CELERYTRAIL_SHIPPER="off")
        publish(pipeline, 2, 30.0)
        wait_until(lambda: pipeline.value(running) == 2, "both children run a task")
        kill(workers.pids(), signal.SIGTERM)
        worker.process.wait(90)
        workers.kill()
        assert stop_as_mixed(shipper, shippers) == 0
    runs = pipeline.rows("SELECT state FROM celerytrail_views.runs")
    assert len(runs) == 2
    # Which of both depends on who is quicker: the child that reports it, or the worker that misses the child.
    assert {row["state"] for row in runs} <= {"aborted", "failed"}
    assert captured_in(pipeline.spool) == set()
    assert pipeline.value(MISSING) == 0
