"""A container that is killed, or stopped: what was captured arrives with the next start."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.acceptance.pipeline import CELERYTRAIL, Pipeline
from tests.acceptance.test_outages import DOUBLES, MISSING
from tests.faults.captured import captured_in
from tests.faults.namespaces import container
from tests.waiting import wait_until

STORED = "SELECT replace(stream_id::text, '-', '') AS stream, seq FROM celerytrail.spans"
STATES = "SELECT replace(stream_id::text, '-', '') AS stream, state FROM celerytrail_views.streams"
WORKER = [
    sys.executable, "-m", "celery", "-A", "ordinary", "worker", "--loglevel", "INFO",
    "-n", "inside@%h", "--concurrency", "2", "-Q", "celery",
]  # fmt: skip
SHIPPER = [CELERYTRAIL, "ship"]


def stored(pipeline: Pipeline) -> set[tuple[str, int]]:
    return {(row["stream"], row["seq"]) for row in pipeline.rows(STORED)}


def states(pipeline: Pipeline) -> dict[str, str]:
    return {row["stream"]: row["state"] for row in pipeline.rows(STATES)}


def publish(pipeline: Pipeline, count: int, seconds: float) -> None:
    """Publish from another host: with a spool of its own, delivered by nobody yet."""
    spool = pipeline.directory / "elsewhere"
    pipeline.run(
        "publish_steady.py", str(count), str(seconds), "celery",
        CELERYTRAIL_SPOOL_DIR=str(spool), CELERYTRAIL_SHIPPER="off",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("shipped_by", ["the worker's own shipper", "a shipper beside it"])
def test_what_a_killed_container_captured_arrives_with_the_next_one(
    pipeline: Pipeline, shipped_by: str
) -> None:
    beside = shipped_by == "a shipper beside it"
    commands = [WORKER, SHIPPER] if beside else [WORKER]
    environ = pipeline.environ(CELERYTRAIL_SHIPPER="off" if beside else "spawn")
    sink = next(program for program in pipeline.programs if program.name == "sink")
    with container(pipeline, "first", *commands, environ=environ) as first:
        wait_until(lambda: "ready." in first.log(), "the worker is ready")
        publish(pipeline, 300, 0.1)
        wait_until(lambda: len(pipeline.recorded()) > 20, "tasks run")
        wait_until(lambda: len(stored(pipeline)) > 20, "events arrive")
        assert sink.stop() == 0  # what comes from here on waits in the spool
        wait_until(lambda: len(pipeline.recorded()) > 80, "the run is in its middle")
        inside = first.pids()
        assert len(inside) >= 5  # PID 1, the worker, two children, a shipper
        first.end(signal.SIGKILL)
        assert not any(Path(f"/proc/{pid}").exists() for pid in inside)
    ran = {line["id"] for line in pipeline.recorded()}
    assert 80 < len(ran) < 300
    waiting = captured_in(pipeline.spool)
    assert len(waiting - stored(pipeline)) > 20, "this test is about what was not delivered yet"
    killed = {stream for stream, _ in waiting}

    pipeline.start_sink()
    with container(pipeline, "second", *commands, environ=environ) as second:
        wait_until(lambda: waiting <= stored(pipeline), "all that was captured has arrived")
        wait_until(
            lambda: {states(pipeline).get(stream) for stream in killed} == {"unterminated"},
            "the killed processes are shown as gone without a goodbye",
        )
        wait_until(lambda: "ready." in second.log(), "the worker is ready again")
        second.end(signal.SIGTERM)
    runs = {row["task_id"] for row in pipeline.rows("SELECT task_id FROM celerytrail_views.runs")}
    assert ran <= runs
    assert pipeline.value(MISSING) == 0
    assert pipeline.value(DOUBLES) == 0


@pytest.mark.slow
def test_a_pod_that_is_stopped_loses_nothing_when_its_shipper_stays_for_the_writers(
    pipeline: Pipeline,
) -> None:
    """Worker and shipper get SIGTERM at the same moment; the worker still has tasks to finish."""
    shipper = [*SHIPPER, "--stay-for-writers"]
    environ = pipeline.environ(CELERYTRAIL_SHIPPER="off", CELERYTRAIL_DRAIN_SECONDS="60")
    with container(pipeline, "pod", WORKER, shipper, environ=environ) as pod:
        wait_until(lambda: "ready." in pod.log(), "the worker is ready")
        publish(pipeline, 20, 1.0)
        wait_until(lambda: len(stored(pipeline)) > 10, "events arrive")
        begun = len(pipeline.recorded())
        pod.end(signal.SIGTERM)
    assert len(pipeline.recorded()) > begun, "the worker finished what it had begun"
    assert captured_in(pipeline.spool) == set()
    assert os.listdir(pipeline.spool) == ["shipper.lock"]
    assert set(states(pipeline).values()) == {"ended"}
    assert pipeline.value(MISSING) == 0
    ran = {line["id"] for line in pipeline.recorded()}
    ended = pipeline.rows("SELECT task_id FROM celerytrail_views.runs WHERE state = 'succeeded'")
    assert ran == {row["task_id"] for row in ended}
