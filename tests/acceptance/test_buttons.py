"""From a button of a dashboard to what a worker does, and back into the dashboard.

The action is taken out of the dashboard's file, filled in as Grafana does, sent with the session of
somebody through the stand-in for Grafana's plugin proxy, and done by the real action API.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.acceptance.control_room import ADMIN, EDITOR, STRANGER, VIEWER, ControlRoom

SHOP = {"namespace": "shop", "service": "orders", "environment": "test"}


@pytest.mark.slow
def test_retry_runs_the_task_again_with_what_it_was_given(room: ControlRoom) -> None:
    worker = room.start_worker()
    room.broken.touch()
    sent = room.publish("charge", "7", "hunter2")["id"]
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=sent, state="failed")
    room.broken.unlink()

    button = room.button("celerytrail-tasks", "Retry", row, reason="the bank is back")
    assert sent in button.confirmation
    answer = room.press(EDITOR, button)
    assert answer.status == 200, answer.body
    said = answer.json()
    (done,) = said["tasks"]
    assert (said["state"], done["task_id"], done["result"]) == ("succeeded", sent, "sent")
    again = done["new_task_id"]

    room.row("celerytrail-task", "Runs", {"task_id": again}, state="succeeded")
    ran = [line for line in room.pipeline.recorded() if line["id"] in (sent, again)]
    assert [(line["order"], line["password"]) for line in ran] == [(7, "hunter2")] * 2
    (old,) = room.pipeline.rows("SELECT * FROM celerytrail_views.tasks WHERE task_id = %s", sent)
    (new,) = room.pipeline.rows("SELECT * FROM celerytrail_views.tasks WHERE task_id = %s", again)
    assert old["retried_as"] == again
    assert new["retry_of"] == sent
    assert "hunter2" not in (new["kwargs"] or "")
    rows = room.actions(verb="retry")
    assert [row["phase"] for row in rows] == ["intent", "outcome"]
    assert {row["actor"] for row in rows} == {"grafana:1:edgar"}
    assert rows[0]["reason"] == "the bank is back"
    assert "hunter2" not in str(rows)

    # A second click, and a click of somebody else, are the same action.
    for user in (EDITOR, ADMIN):
        repeated = room.press(user, button).json()
        assert repeated["duplicate"] is True
        assert repeated["tasks"][0]["new_task_id"] == again
    assert len(room.actions(verb="retry", phase="intent")) == 1
    assert worker.stop() == 0
    assert room.pipeline.verify("--json").returncode in (0, 3)


@pytest.mark.slow
def test_a_retried_link_of_a_chain_does_not_run_the_later_links(room: ControlRoom) -> None:
    worker = room.start_worker()
    room.broken.touch()
    first, second, third = room.publish("chain")["ids"]
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=first, state="failed")
    room.broken.unlink()
    answer = room.press(EDITOR, room.button("celerytrail-tasks", "Retry", row))
    assert answer.status == 200, answer.body
    again = answer.json()["tasks"][0]["new_task_id"]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=again, state="succeeded")
    # What is sent after it has run has run after all that it could have sent.
    last = room.publish("charge", "1")["id"]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=last, state="succeeded")
    assert worker.stop() == 0
    ran = Counter(line["id"] for line in room.pipeline.recorded())
    assert ran == {first: 1, again: 1, last: 1}
    assert second not in ran
    assert third not in ran


@pytest.mark.slow
def test_cancel_keeps_a_task_from_beginning(room: ControlRoom) -> None:
    worker = room.start_worker("--concurrency", "1")
    nap = room.publish("nap", "600")["id"]
    running = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=nap, state="started")
    waits = room.publish("charge", "8")["id"]
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=waits)
    answer = room.press(EDITOR, room.button("celerytrail-tasks", "Cancel", row))
    assert answer.status == 200, answer.body
    assert answer.json()["tasks"][0]["result"] == "revoked"
    # Its turn comes when the only process is free.
    ended = room.press(EDITOR, room.button("celerytrail-tasks", "Terminate", running))
    assert ended.status == 200, ended.body
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=waits, state="revoked")
    assert worker.stop() == 0
    assert waits not in {line["id"] for line in room.pipeline.recorded()}
    assert [row["phase"] for row in room.actions(verb="cancel")] == ["intent", "outcome"]


@pytest.mark.slow
def test_terminate_ends_the_process_of_a_running_task(room: ControlRoom) -> None:
    worker = room.start_worker()
    nap = room.publish("nap", "600")["id"]
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=nap, state="started")
    answer = room.press(EDITOR, room.button("celerytrail-tasks", "Terminate", row))
    assert answer.status == 200, answer.body
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=nap, state="revoked")
    assert [row["phase"] for row in room.actions(verb="terminate")] == ["intent", "outcome"]
    assert worker.stop() == 0


@pytest.mark.slow
def test_purge_removes_what_the_person_saw_and_records_it(room: ControlRoom) -> None:
    ids = room.publish("waiting", "lane", "7")["ids"]
    row = room.row("celerytrail-overview", "Queues", {}, queue="lane", waiting=7)
    more = room.publish("waiting", "lane", "5")["ids"]
    button = room.button("celerytrail-overview", "Purge", row)
    refused = room.press(ADMIN, button)
    assert (refused.status, refused.json()["code"]) == (409, "depth_grown")
    assert room.press(EDITOR, button).status == 403, "Grafana's own check of the route"
    row = room.row("celerytrail-overview", "Queues", {}, queue="lane", waiting=12)
    answer = room.press(ADMIN, room.button("celerytrail-overview", "Purge", row))
    assert answer.status == 200, answer.body
    states = {
        row["task_id"]: row["state"]
        for row in room.pipeline.rows("SELECT task_id, state FROM celerytrail_views.tasks")
    }
    assert {states[task_id] for task_id in (*ids, *more)} == {"purged"}, (
        answer.json()["message"],
        answer.json()["tasks"][0],
        room.actions(verb="purge"),
    )
    phases = [row["phase"] for row in room.actions(verb="purge")]
    assert phases[0] == "refused"
    assert phases[1] == "intent"
    assert phases[-1] == "outcome"
    # Nothing is left for a worker.
    worker = room.start_worker(queues="lane")
    last = room.publish("waiting", "lane", "1")["ids"][0]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=last, state="succeeded")
    assert {line["id"] for line in room.pipeline.recorded()} == {last}
    assert worker.stop() == 0


@pytest.mark.slow
def test_a_whole_chord_runs_again_as_a_chord(room: ControlRoom) -> None:
    worker = room.start_worker()
    room.broken.touch()
    made = room.publish("chord", "20", "3", "11")
    chosen = {"workflow_id": made["group"]}
    row = room.row(
        "celerytrail-workflow",
        "Its groups and chords",
        chosen,
        group_id=made["group"],
        members="20",
        unfinished=0,
    )
    room.broken.unlink()
    answer = room.press(
        EDITOR,
        room.button("celerytrail-workflow", "Retry whole chord", row, variables=chosen),
    )
    assert answer.status == 200, answer.body
    new = {one["task_id"]: one["new_task_id"] for one in answer.json()["tasks"]}
    assert set(made["ids"]) <= set(new)
    assert len(set(new.values())) == 21
    body = new[made["body"]]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=body, state="succeeded")
    ran = {line["id"]: line for line in room.pipeline.recorded()}
    again = [ran[new[task_id]] for task_id in made["ids"]]
    assert [line["number"] for line in again] == list(range(20))
    (group,) = {line["group"] for line in again}
    assert group not in (None, made["group"])
    assert ran[body]["parts"] == list(range(20))
    assert made["body"] not in ran
    retried = room.pipeline.rows(
        "SELECT task_id, retried_as FROM celerytrail_views.tasks WHERE retried_as IS NOT NULL"
    )
    assert {row["task_id"]: row["retried_as"] for row in retried} == {
        task_id: new[task_id] for task_id in made["ids"]
    }, "the old body was never sent: there is no row of it"
    told = room.data.panel("celerytrail-workflow", "Who did what to it", chosen)
    assert [(row["phase"], row["tasks"]) for row in told] == [("outcome", 20), ("intent", 20)]
    assert worker.stop() == 0


@pytest.mark.slow
def test_who_may_not_does_not_and_is_written_down(room: ControlRoom) -> None:
    worker = room.start_worker()
    room.broken.touch()
    sent = room.publish("charge", "9")["id"]
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=sent, state="failed")
    button = room.button("celerytrail-tasks", "Retry", row)
    assert room.press(VIEWER, button).status == 403
    answer = room.press(STRANGER, button)
    assert (answer.status, answer.json()["code"]) == (403, "not_allowed")
    (refusal,) = room.actions(phase="refused")
    assert (refusal["verb"], refusal["actor"]) == ("retry", "grafana:2:stan")
    assert not room.actions(phase="intent")
    assert [line["id"] for line in room.pipeline.recorded()] == [sent]
    assert worker.stop() == 0


def test_without_a_seal_key_a_redacted_task_is_not_sent_again(unsealed_room: ControlRoom) -> None:
    room = unsealed_room
    worker = room.start_worker()
    room.broken.touch()
    hidden = room.publish("charge", "7", "hunter2")["id"]
    shown = room.publish("part", "8")["id"]
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=hidden, state="failed")
    answer = room.press(EDITOR, room.button("celerytrail-tasks", "Retry", row))
    assert (answer.status, answer.json()["code"]) == (409, "body_withheld")
    assert "seal_psk_file" in answer.json()["detail"], "it says how to turn it on"
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=shown, state="failed")
    room.broken.unlink()
    answer = room.press(EDITOR, room.button("celerytrail-tasks", "Retry", row))
    assert answer.status == 200, answer.body
    again = answer.json()["tasks"][0]["new_task_id"]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=again, state="succeeded")
    assert worker.stop() == 0
    ran = [line["id"] for line in room.pipeline.recorded()]
    assert sorted(ran) == sorted([hidden, shown, again])


@pytest.mark.slow
def test_what_does_not_answer_is_said_and_works_again_afterwards(
    room: ControlRoom,
) -> None:
    worker = room.start_worker()
    room.broken.touch()
    sent = room.publish("charge", "5")["id"]
    row = room.row("celerytrail-tasks", "Newest tasks", {}, task_id=sent, state="failed")
    room.broken.unlink()
    button = room.button("celerytrail-tasks", "Retry", row)

    broker = room.valkey
    assert worker.stop() == 0
    broker.stop()
    began = time.monotonic()
    answer = room.press(EDITOR, button)
    assert (answer.status, answer.json()["code"]) == (503, "broker_unavailable")
    assert "secret" not in answer.body.decode()
    assert time.monotonic() - began < 60, "bounded"
    broker.start()
    answer = room.press(EDITOR, button)
    assert answer.status == 200, answer.body
    outcomes = room.actions(verb="retry", phase="outcome")
    assert [row["detail"]["state"] for row in outcomes] == ["failed", "succeeded"]
