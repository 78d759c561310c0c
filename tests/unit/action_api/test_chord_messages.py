"""Putting a group together from the messages of its members, in the shapes of every Celery."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celerytrail.action_api.errors import Refused
from celerytrail.action_api.verbs.chord_messages import renewed, workflow
from celerytrail.exporter.sealed import Message


def signature(task: str, **options: Any) -> dict[str, Any]:
    return {
        "task": task, "args": [], "kwargs": {}, "options": options, "subtask_type": None,
        "immutable": False,
    }  # fmt: skip


def chain(*links: dict[str, Any], **options: Any) -> dict[str, Any]:
    made = signature("celery.chain", **options)
    return {**made, "subtask_type": "chain", "kwargs": {"tasks": list(links)}}


def member(task_id: str, **embedded: Any) -> tuple[str, Message]:
    body = json.dumps([[1], {}, embedded]).encode()
    headers = {"id": task_id, "task": "pay", "group": "g"}
    return task_id, Message(headers, {}, "", "q", None, "application/json", "utf-8", body)


def test_a_chord_has_its_headers_and_its_body_which_is_no_header() -> None:
    # With Celery 5.7 the body is in the group as well.
    body = signature("total", task_id="b", group_id="g")
    found = workflow("g", [member("1", chord=body), member("2", chord=body), member("b")])
    assert [one.task_id for one in found.members] == ["1", "2"]
    assert (found.chord, found.body_task_id) == (body, "b")
    assert found.task_ids == ["1", "2", "b"]


def test_the_links_of_a_chain_in_the_header_come_with_its_first() -> None:
    body = signature("total", task_id="b")
    last = signature("last", task_id="1c", group_id="g", chord=body)
    links = [last, signature("middle", task_id="1b")]  # Celery keeps them reversed
    found = workflow(
        "g", [member("1a", chain=links), member("1c", chord=body), member("2", chord=body)]
    )
    assert [one.task_id for one in found.members] == ["1a", "2"]
    assert [one["task"] for one in found.members[0].links] == ["middle", "last"]
    assert found.task_ids == ["1a", "1b", "1c", "2", "b"]


def test_a_body_that_is_a_chain_ends_with_its_last_link() -> None:
    named = chain(signature("x", task_id="x1"), signature("y", task_id="y1"), task_id="g")
    found = workflow("g", [member("1", chord=named), member("x1")])
    assert [one.task_id for one in found.members] == ["1"]
    assert found.body_task_id == "y1"
    nameless = chain(signature("x"), signature("y"))
    assert workflow("g", [member("1", chord=nameless)]).body_task_id is None


def test_tasks_of_two_chords_are_not_mixed() -> None:
    one, two = signature("total", task_id="b1"), signature("total", task_id="b2")
    for other in (member("2", chord=two), member("2")):
        with pytest.raises(Refused) as refused:
            workflow("g", [member("1", chord=one), other])
        assert refused.value.code == "mixed_chord"


def test_every_id_in_a_signature_is_new_and_everything_else_as_it_was() -> None:
    link = signature("tell", task_id="l", queue="mail")
    inner = chain(
        signature("x", task_id="x1", root_id="r", parent_id="p", link=[link]),
        signature("y", task_id="y1", group_id="inner", priority=3),
        task_id="c1", group_id="outer", group_index=4, chord=signature("outer body", task_id="o"),
        link_error=link,
    )  # fmt: skip
    made = renewed(inner, lambda old: f"new {old}", outermost=True)
    first, second = made["kwargs"]["tasks"]
    assert made["options"] == {
        "task_id": "new c1",
        "link_error": [signature("tell", task_id="new l", queue="mail")],
    }
    assert first["options"] == {
        "task_id": "new x1",
        "link": [signature("tell", task_id="new l", queue="mail")],
    }
    assert second["options"] == {"task_id": "new y1", "group_id": "new inner", "priority": 3}
    assert "x1" in json.dumps(inner)  # what was given is not changed


def test_a_canvas_that_is_nested_without_end_is_refused() -> None:
    deep = signature("x")
    for _ in range(100):
        deep = chain(deep)
    with pytest.raises(Refused):
        renewed(deep, str, outermost=True)


def at(place: int | None, task_id: str, **embedded: Any) -> tuple[str, Message]:
    named, message = member(task_id, **embedded)
    headers = {**message.headers, "group_index": place}
    return named, Message(headers, {}, "", "q", None, "application/json", "utf-8", message.body)


def test_a_group_with_an_empty_place_is_refused() -> None:
    body = signature("total", task_id="b")
    link = signature("last", task_id="2b", group_index=1, chord=body)
    whole = [at(0, "1", chord=body), at(None, "2", chain=[link]), at(2, "3", chord=body)]
    assert len(workflow("g", whole).members) == 3
    # A chord was to be the second member, and its body was never sent.
    with pytest.raises(Refused) as refused:
        workflow("g", [whole[0], whole[2]])
    assert refused.value.code == "members_missing"
    assert "member 1 " in str(refused.value)
    with pytest.raises(Refused):
        workflow("g", whole[1:])


def test_what_is_due_later_or_has_expired_is_due_now_when_it_is_sent_again() -> None:
    then = {"__type__": "datetime", "__value__": "2020-01-01T00:00:00"}
    body = signature("total", task_id="b", expires=then, eta="2020-01-01T00:00:00", queue="sums")
    link = signature("then", task_id="l", expires=30, countdown=5)
    made = renewed(
        {**body, "options": {**body["options"], "link": [link]}}, lambda old: f"new {old}",
        outermost=True,
    )  # fmt: skip
    assert made["options"]["queue"] == "sums"
    assert not {"expires", "eta"} & set(made["options"])
    (again,) = made["options"]["link"]
    assert again["options"] == {"task_id": "new l", "expires": 30, "countdown": 5}


def test_links_that_an_option_carries_get_new_ids_too() -> None:
    later = signature("later", task_id="c")
    made = renewed(
        signature("total", task_id="b", chain=[later]), lambda old: f"new {old}", outermost=True
    )
    assert made["options"]["chain"][0]["options"]["task_id"] == "new c"
