"""Retry chord against real workers, of the newest and of the oldest Celery."""

from __future__ import annotations

from typing import Any

import pytest

from celerytrail.action_api.errors import Refused
from celerytrail.exporter.deployment import Deployment
from tests.celery_versions import NEWEST, interpreter
from tests.integration.action_api.acting import ALICE, INCLUDE, Acting, Replica
from tests.waiting import wait_until

pytest_plugins = ["tests.integration.action_api.action_fixtures"]


@pytest.fixture(params=[NEWEST, "5.2"])
def any_celery(request: pytest.FixtureRequest) -> Acting:
    """Workers and publishers of the newest Celery, sealing, and of the oldest, not sealing."""
    python = interpreter(request.param)
    made: Acting = request.getfixturevalue("sealing" if request.param == NEWEST else "acting")
    made.pipeline.python = python
    return made


def wait_for_group(acting: Acting, group_id: str, count: int, *states: str) -> list[dict[str, Any]]:
    def there() -> list[dict[str, Any]] | None:
        rows = acting.pipeline.rows(
            "SELECT * FROM celerytrail_views.tasks WHERE group_id = %s", group_id
        )
        ended = [row for row in rows if row["state"] in states]
        return rows if len(ended) >= count else None

    return wait_until(there, f"{count} tasks of group {group_id} are {states}")  # type: ignore[return-value]


def test_a_chord_of_20_with_2_failures_runs_again_as_a_whole(any_celery: Acting) -> None:
    acting = any_celery
    acting.pipeline.start_worker(*INCLUDE)
    sealed = not acting.settings.allow_plain
    acting.break_numbers(3, 11)
    sent = acting.publish(
        {
            "chord": [
                {
                    "task": "moody.pay",
                    "args": [number],
                    "kwargs": {"password": f"s3cret{number}"} if sealed else {},
                }
                for number in range(20)
            ],
            "body": {"task": "moody.total"},
        }
    )
    old_headers, old_group, old_body = sent["members"], sent["group"], sent["id"]
    wait_for_group(acting, old_group, 20, "succeeded", "failed")
    acting.break_numbers()

    with acting.replica() as api:
        plan = api.verbs["retry-chord"].plan(request(group_id=old_group))
        preview = api.verbs["retry-chord"].preview(plan)
        assert (preview["members"], preview["succeeded"], preview["failed"]) == (20, 18, 2)
        assert preview["body"] == {"task_id": old_body, "task_name": "moody.total"}

        with pytest.raises(Refused) as refused:
            api.do("retry-chord", group_id=old_group, seen_members="7")
        assert refused.value.code == "members_changed"

        done = api.do("retry-chord", group_id=old_group, seen_members="20")
        assert done.outcome.state == "succeeded", done
        new = {task.task_id: task.new_task_id for task in done.outcome.tasks}
        assert set(new) == {*old_headers, old_body}
        assert len({*new.values(), *new}) == 42

        body = acting.wait_for(str(new[old_body]), "succeeded")
        rows = wait_for_group(acting, done.outcome.detail["group_id"], 20, "succeeded")
        assert {row["task_id"] for row in rows} - {body["task_id"]} == {
            new[old] for old in old_headers
        }
        (ran,) = acting.ran(body["task_id"])
        assert sorted(ran["args"][0]) == list(range(20))
        for number, old in enumerate(old_headers):
            (header,) = acting.ran(str(new[old]))
            assert header["args"] == [number]
            assert header["kwargs"] == {"password": f"s3cret{number}" if sealed else None}
            assert acting.task(old)["retried_as"] == new[old]  # type: ignore[index]
        phases = [row["phase"] for row in acting.actions(done.action_id)]
        assert phases == ["intent", "progress", "outcome"]

        again = api.do("retry-chord", group_id=old_group)
        assert again.duplicate


def test_chains_in_the_header_and_a_chain_as_body_come_again(any_celery: Acting) -> None:
    acting = any_celery
    acting.pipeline.start_worker(*INCLUDE)
    acting.break_numbers(2)
    sent = acting.publish(
        {
            "chord": [
                {"chain": [{"task": "moody.pay", "args": [1]}, {"task": "moody.echo"}]},
                {"chain": [{"task": "moody.pay", "args": [2]}, {"task": "moody.echo"}]},
                {"task": "moody.pay", "args": [3]},
            ],
            "body": {"chain": [{"task": "moody.total"}, {"task": "moody.echo"}]},
        }
    )
    wait_for_group(acting, sent["group"], 3, "succeeded", "failed")
    acting.break_numbers()
    with acting.replica() as api:
        done = wait_until(lambda: try_again(api, sent["group"]), "every member has ended")
        assert done.outcome.state == "succeeded", done
        last = acting.wait_for(str(done.outcome.detail["body_task_id"]), "succeeded")
        assert last["task_name"] == "moody.echo"
        (ran,) = acting.ran(last["task_id"])
        assert ran["args"] == [6]


def test_what_follows_a_chord_comes_once(any_celery: Acting) -> None:
    acting = any_celery
    acting.pipeline.start_worker(*INCLUDE)
    acting.break_numbers(2)
    canvas = {
        "chain": [
            {
                "chord": [{"task": "moody.pay", "args": [1]}, {"task": "moody.pay", "args": [2]}],
                "body": {"task": "moody.total"},
            },
            {"task": "moody.echo"},
        ]
    }
    last = acting.publish(canvas)["id"]
    (group,) = wait_until(
        lambda: acting.pipeline.rows(
            "SELECT group_id FROM celerytrail_views.groups WHERE members = 2 AND unfinished = 0"
        ),
        "both headers have ended",
    )
    acting.break_numbers()
    with acting.replica() as api:
        first = wait_until(lambda: try_again(api, group["group_id"]), "every member has ended")
        assert first.outcome.state == "succeeded", first
        body = str(first.outcome.detail["body_task_id"])
        acting.wait_for(body, "succeeded")
        followed = wait_until(
            lambda: [row for row in acting.pipeline.recorded() if row["task"] == "moody.echo"],
            "what follows has run",
        )
        assert [row["args"] for row in followed] == [[3]]
        assert followed[0]["id"] != last, "under an id of its own"
        acting.wait_for(followed[0]["id"], "succeeded")

        # It has run now: the chord may come again, what follows it must not.
        second = wait_until(
            lambda: try_again(api, str(first.outcome.detail["group_id"])),
            "every member has ended",
        )
        assert "not sent again" in second.outcome.message
        body = str(second.outcome.detail["body_task_id"])
        acting.wait_for(body, "succeeded")
        sentinel = acting.publish({"task": "moody.pay", "args": [9]})["id"]
        acting.wait_for(sentinel, "succeeded")
    echoes = [row["id"] for row in acting.pipeline.recorded() if row["task"] == "moody.echo"]
    assert echoes == [followed[0]["id"]]


def test_a_chord_whose_body_runs_is_not_sent_again(any_celery: Acting) -> None:
    acting = any_celery
    acting.pipeline.start_worker(*INCLUDE)
    sent = acting.publish(
        {
            "chord": [{"task": "moody.pay", "args": [number]} for number in (1, 2)],
            "body": {
                "chain": [
                    {"task": "moody.wait", "args": [600], "si": True},
                    {"task": "moody.echo"},
                ]
            },
        }
    )
    wait_for_group(acting, sent["group"], 2, "succeeded")
    (body,) = wait_until(
        lambda: acting.pipeline.rows(
            "SELECT task_id FROM celerytrail.tasks WHERE task_name = 'moody.wait' AND state = 'started'"
        ),
        "the body runs",
    )
    with acting.replica() as api:
        with pytest.raises(Refused) as refused:
            api.do("retry-chord", group_id=sent["group"])
        assert refused.value.code == "still_running"
        assert body["task_id"] in str(refused.value)
        acting.let_go()
        acting.wait_for(body["task_id"], "succeeded")
        done = wait_until(lambda: try_again(api, sent["group"]), "the body has ended")
        assert done.outcome.state == "succeeded", done


def test_a_plain_group_comes_again_and_a_chord_without_a_result_backend_does_not(
    acting: Acting,
) -> None:
    acting.pipeline.start_worker(*INCLUDE)
    sent = acting.publish(
        {"group": [{"task": "moody.echo", "args": [number]} for number in range(3)]}
    )
    chord = acting.publish(
        {"chord": [{"task": "moody.pay", "args": [1]}], "body": {"task": "moody.total"}}
    )
    wait_for_group(acting, sent["group"], 3, "succeeded")
    acting.wait_for(chord["id"], "succeeded")
    with acting.with_settings(result_backend=None).replica() as api:
        done = api.do("retry-chord", group_id=sent["group"])
        assert done.outcome.detail["kind"] == "group"
        wait_for_group(acting, done.outcome.detail["group_id"], 3, "succeeded")
        members = wait_for_group(acting, chord["group"], 1, "succeeded")
        assert members
        with pytest.raises(Refused) as refused:
            api.do("retry-chord", group_id=chord["group"])
    assert refused.value.code == "no_result_backend"
    assert "result_backend" in str(refused.value)


def request(**parameters: str) -> Any:
    from celerytrail.action_api.action import ActionRequest

    return ActionRequest(
        "retry-chord", Deployment("shop", "orders", "test"), parameters, ALICE, "request"
    )


def try_again(api: Replica, group_id: str) -> Any:
    """Retry as soon as the ledger has the end of every member."""
    try:
        return api.do("retry-chord", group_id=group_id)
    except Refused as exc:
        if exc.code != "still_running":
            raise
        return None
