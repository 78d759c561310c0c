"""Retry against a real worker: the same arguments, once, and nothing that followed the task."""

from __future__ import annotations

import json

import pytest

from celerytrail.action_api.errors import NotFound, Refused
from tests.integration.action_api.acting import BOB, INCLUDE, Acting

pytest_plugins = ["tests.integration.action_api.action_fixtures"]


def test_retry_runs_the_task_again_with_the_arguments_that_redaction_hid(sealing: Acting) -> None:
    pipeline = sealing.pipeline
    worker = pipeline.start_worker(*INCLUDE)
    sealing.break_numbers(7)
    sent = sealing.publish({"task": "moody.pay", "args": [7], "kwargs": {"password": "hunter2"}})
    old = sent["id"]
    assert "hunter2" not in sealing.wait_for(old, "failed")["kwargs"]
    sealing.break_numbers()

    with sealing.replica() as api:
        done = api.do("retry", task_id=old, reason="the bank is back")
        assert done.outcome.state == "succeeded", done
        (told,) = done.outcome.tasks
        assert told.task_id == old
        assert told.result == "sent"
        new = told.new_task_id
        assert new is not None

        row = sealing.wait_for(new, "succeeded")
        assert row["args"] == "[7]"
        assert row["retry_of"] == old
        assert sealing.task(old)["retried_as"] == new  # type: ignore[index]
        (ran,) = sealing.ran(new)
        assert ran["kwargs"] == {"password": "hunter2"}

        # The second press of the button, by somebody else, tells of the first.
        again = api.do("retry", actor=BOB, task_id=old)
        assert again.duplicate
        assert again.actor == "grafana:1:alice"
        assert again.action_id == done.action_id
        assert again.outcome.tasks == done.outcome.tasks

        # What was sent again can be sent again.
        third = api.do("retry", task_id=new)
        assert third.outcome.tasks[0].new_task_id not in (new, old)
        sealing.wait_for(str(third.outcome.tasks[0].new_task_id), "succeeded")

        with pytest.raises(NotFound):
            api.do("retry", task_id="no such task")

    phases = [row["phase"] for row in sealing.actions(done.action_id)]
    assert phases == ["intent", "outcome"]
    assert "hunter2" not in json.dumps(sealing.actions(done.action_id))
    assert len(sealing.ran(new)) == 1
    assert worker.alive()


def test_without_keys_a_task_with_redacted_arguments_is_refused_and_says_what_to_do(
    acting: Acting,
) -> None:
    acting.pipeline.start_worker(*INCLUDE)
    sent = acting.publish({"task": "moody.pay", "args": [7], "kwargs": {"password": "hunter2"}})
    acting.wait_for(sent["id"], "succeeded")
    with acting.replica() as api, pytest.raises(Refused) as refused:
        api.do("retry", task_id=sent["id"])
    assert refused.value.code == "body_withheld"
    assert refused.value.extra == {"withheld": "redacted"}
    assert "celerytrail keys" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_retried_link_of_a_chain_does_not_run_the_later_links_again(acting: Acting) -> None:
    pipeline = acting.pipeline
    pipeline.start_worker(*INCLUDE)
    sent = acting.publish(
        {
            "chain": [
                {"task": "moody.echo", "args": [1.50, 10**30, "ü\u2028"]},
                {"task": "moody.echo", "args": ["second"]},
                {"task": "moody.echo", "args": ["third"]},
            ]
        }
    )
    first, second, third = sent["members"]
    acting.wait_for(third, "succeeded")
    with acting.replica() as api:
        for old in (first, second):
            done = api.do("retry", task_id=old)
            new = str(done.outcome.tasks[0].new_task_id)
            acting.wait_for(new, "succeeded")
            (before,), (after,) = acting.ran(old), acting.ran(new)
            assert after["args"] == before["args"]
            assert after["root"] == new
    # Another task, sent afterwards, is through: whatever the retries had called would have run.
    last = acting.publish({"task": "moody.echo", "args": ["last"]})["id"]
    acting.wait_for(last, "succeeded")
    assert len(pipeline.recorded()) == 3 + 2 + 1


def test_a_task_that_has_not_ended_is_refused(acting: Acting) -> None:
    acting.pipeline.start_worker(*INCLUDE)
    sent = acting.publish({"task": "moody.wait", "args": [600]})
    acting.wait_for(sent["id"], "started")
    with acting.replica() as api, pytest.raises(Refused) as refused:
        api.do("retry", task_id=sent["id"])
    assert refused.value.code == "still_running"
    acting.let_go()
