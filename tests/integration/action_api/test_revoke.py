"""Cancel and terminate against real workers."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import pytest

from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.errors import BadRequest, Refused
from celerytrail.action_api.perform import PerformedAction
from tests.integration.action_api.acting import INCLUDE, Acting, Replica
from tests.waiting import wait_until

pytest_plugins = ["tests.integration.action_api.action_fixtures"]


def test_cancel_and_terminate_reach_the_worker_and_say_who_answered(acting: Acting) -> None:
    acting.pipeline.start_worker(*INCLUDE)
    running = acting.publish({"task": "moody.wait", "args": [600]})["id"]
    acting.wait_for(running, "started")
    with acting.replica() as api:
        later, done = cancel_one_that_waits(acting, api)
        assert done.outcome.state == "succeeded", done
        ((worker, answer),) = done.outcome.detail["workers"].items()
        assert worker.startswith("worker")
        assert "revoked" in answer

        with pytest.raises(BadRequest):
            api.do("terminate", task_id=running, signal="SIGSTOP")
        done = api.do("terminate", task_id=running, signal="SIGKILL")
        assert done.outcome.state == "succeeded", done
        assert [task.result for task in done.outcome.tasks] == ["revoked"]
        acting.wait_for(running, "revoked")
        acting.wait_for(later, "revoked")

        for verb in ("cancel", "terminate"):
            with pytest.raises(Refused) as refused:
                api.do(verb, task_id=running)
            assert refused.value.code == "already_ended"

    assert [row["phase"] for row in acting.actions(done.action_id)] == ["intent", "outcome"]
    assert acting.ran(later) == []


def cancel_one_that_waits(acting: Acting, api: Replica) -> tuple[str, PerformedAction]:
    """Cancel a task while the worker holds it for its time; on a slow machine give it more of that."""
    seconds = 10
    while True:
        due = time.monotonic() + seconds
        waiting = {"task": "moody.echo", "args": [1], "options": {"countdown": seconds}}
        task_id = acting.publish(waiting)["id"]
        acting.wait_for(task_id, "received", "started", "succeeded")
        with suppress(Refused):  # it has ended already
            done = api.do("cancel", task_id=task_id)
            if time.monotonic() < due:
                return task_id, done
        seconds *= 2


def test_without_a_worker_nobody_answers_and_the_outcome_is_not_known(acting: Acting) -> None:
    sent = acting.publish({"task": "moody.echo", "args": [1]})["id"]
    wait_until(lambda: acting.task(sent), "the send is in the ledger")
    with acting.replica(bounds=BrokerBounds(control_seconds=0.5)) as api:
        done = api.do("cancel", task_id=sent)
    assert done.outcome.state == "unknown"
    assert "none of them answered" in done.outcome.message


def test_another_worker_that_answers_does_not_speak_for_the_one_that_has_the_task(
    acting: Acting,
) -> None:
    holder = acting.pipeline.start_worker(*INCLUDE)
    running = acting.publish({"task": "moody.wait", "args": [600]})["id"]
    name = acting.wait_for(running, "started")["worker"]
    acting.pipeline.start_worker(*INCLUDE)
    os.kill(holder.process.pid, signal.SIGSTOP)
    try:
        with acting.replica(bounds=BrokerBounds(control_seconds=8.0)) as api:
            done = api.do("terminate", task_id=running)
            assert done.outcome.state == "unknown", done
            assert name in done.outcome.message
            assert len(done.outcome.detail["workers"]) == 1
    finally:
        os.kill(holder.process.pid, signal.SIGCONT)
    acting.wait_for(running, "revoked")


def test_a_terminate_of_what_no_worker_has_says_so(acting: Acting) -> None:
    waiting = acting.publish(
        {"task": "moody.echo", "args": [1], "options": {"queue": "nobody reads"}}
    )["id"]
    wait_until(lambda: acting.task(waiting), "the send is in the ledger")
    acting.pipeline.start_worker(*INCLUDE)
    with acting.replica() as api:
        done = api.do("terminate", task_id=waiting)
    assert done.outcome.state == "succeeded", done
    assert "nothing was ended" in done.outcome.message


def test_a_worker_that_cannot_end_a_task_has_not_ended_it(acting: Acting) -> None:
    acting.pipeline.start_worker(*INCLUDE, "--pool", "threads")
    running = acting.publish({"task": "moody.wait", "args": [600]})["id"]
    acting.wait_for(running, "started")
    with acting.replica() as api:
        done = api.do("terminate", task_id=running)
    acting.let_go()
    assert done.outcome.state == "unknown", done
    assert "error" in done.outcome.message
