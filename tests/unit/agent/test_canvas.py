"""The root-group rule against what the messages of each canvas say, on old and new Celery."""

from __future__ import annotations

from typing import Any

import pytest

from celerytrail.exporter.agent.canvas import groups_around


def chord_of(**options: Any) -> dict[str, Any]:
    return {"task": "body", "options": options}


def link(**options: Any) -> dict[str, Any]:
    return {"task": "last", "options": options}


CASES: dict[str, tuple[dict[str, Any], Any, list[tuple[str, str, str | None]]]] = {
    "alone": ({"group": None}, {"chord": None, "chain": None}, []),
    "protocol 1 without a body": ({"group": "g"}, None, [("g", "group", None)]),
    "group": ({"group": "g"}, {"chord": None, "chain": None}, [("g", "group", None)]),
    "chord header, 5.7": (
        {"group": "g"},
        {"chord": chord_of(task_id="b", group_id="g")},
        [("g", "chord", "b")],
    ),
    "chord header, up to 5.5": (
        {"group": "g"},
        {"chord": chord_of(task_id="b")},
        [("g", "chord", "b")],
    ),
    "chord header whose body is a chain, up to 5.5": (
        {"group": "g"},
        {"chord": chord_of(task_id="g")},
        [("g", "chord", None)],
    ),
    "chord header whose body is a chain, 5.2": (
        {"group": "g"},
        {"chord": {"task": "celery.chain", "options": {}}},
        [("g", "chord", None)],
    ),
    "first link of a chain in a group": (
        {"group": None},
        {"chain": [link(group_id="g"), link()], "chord": None},
        [("g", "group", None)],
    ),
    "first link of a chain in a chord's header": (
        {"group": None},
        {"chain": [link(group_id="g", chord=chord_of(task_id="b"))], "chord": None},
        [("g", "chord", "b")],
    ),
    "chain outside of any group": ({"group": None}, {"chain": [link(task_id="z")]}, []),
    "group of chords": (
        {"group": "g1"},
        {"chord": chord_of(task_id="b1", group_id="g")},
        [("g1", "chord", "b1"), ("g", "group", None)],
    ),
    "chord in chord": (
        {"group": "g2"},
        {"chord": chord_of(task_id="b2", group_id="g", chord=chord_of(task_id="b", group_id="g"))},
        [("g2", "chord", "b2"), ("g", "chord", "b")],
    ),
    "three deep": (
        {"group": "g3"},
        {"chord": chord_of(group_id="g2", chord=chord_of(group_id="g1", chord=chord_of()))},
        [("g3", "chord", None), ("g2", "chord", None), ("g1", "chord", None)],
    ),
    "no signature at all": (
        {"group": "g"},
        {"chord": "what", "chain": ["what"]},
        [("g", "group", None)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_groups_around(name: str) -> None:
    headers, embedded, expected = CASES[name]
    found = groups_around(headers, embedded)
    assert [(group.group_id, group.kind, group.body_id) for group in found] == expected


def test_a_canvas_that_contains_itself_ends() -> None:
    chord: dict[str, Any] = {"options": {"group_id": "h"}}
    chord["options"]["chord"] = chord
    assert [group.group_id for group in groups_around({"group": "g"}, {"chord": chord})] == [
        "g",
        "h",
    ]
