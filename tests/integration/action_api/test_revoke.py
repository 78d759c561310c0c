"""Cancel and terminate against real workers."""

from __future__ import annotations

import pytest

from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.errors import BadRequest, Refused
from tests.integration.action_api.acting import INCLUDE, Acting
from tests.waiting import wait_until

pytest_plugins = ["tests.integration.action_api.action_fixtures"]


def test_cancel_and_terminate_reach_the_worker_and_say_who_answered(acting: Acting) -> None:
    acting.pipeline.start_worker(*INCLUDE)
    running = acting.publish({"task": "moody.wait", "args": [60]})["id"]
    later = acting.publish({"task": "moody.echo", "args": [1], "options": {"countdown": 10}})["id"]
    acting.wait_for(running, "started")
    acting.wait_for(later, "received")
    with acting.replica() as api:
        done = api.do("cancel", task_id=later)
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


def test_without_a_worker_nobody_answers_and_the_outcome_is_not_known(acting: Acting) -> None:
    sent = acting.publish({"task": "moody.echo", "args": [1]})["id"]
    wait_until(lambda: acting.task(sent), "the send is in the ledger", 60)
    with acting.replica(bounds=BrokerBounds(control_seconds=0.5)) as api:
        done = api.do("cancel", task_id=sent)
    assert done.outcome.state == "unknown"
    assert "none of them answered" in done.outcome.message
