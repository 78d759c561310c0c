"""What the real @grafana/data makes of the answers that our panels get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from celerytrail.dashboards.drawing import frames
from celerytrail.dashboards.drawing.data_source import DataSource, TimeRange
from celerytrail.dashboards.drawing.sheet import View, sheet
from celerytrail.dashboards.drawing.transform import transform
from tests.integration.dashboards.small_shop import CHORD, FAILED

SHOWN = {"task_id": FAILED, "workflow_id": CHORD}
PARSED = ("tags", "serviceTags", "logs", "references")

Panel = tuple[str, Mapping[str, Any], list[Mapping[str, Any]]]


def columns(frame: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {field["name"]: field["values"] for field in frame["fields"]}


@pytest.fixture
def answered(
    browser: None,
    dashboards: dict[str, dict[str, Any]],
    data_source: DataSource,
    within: TimeRange,
) -> list[Panel]:
    """Every panel that has transformations, with the frames of its queries."""
    found: list[Panel] = []
    for uid, dashboard in dashboards.items():
        has = {variable["name"] for variable in dashboard["templating"]["list"]}
        values = {name: value for name, value in SHOWN.items() if name in has}
        page = sheet(dashboard, View(within, values), data_source).page
        for item in page["items"]:
            assert item["errors"] == []
            if item["panel"].get("transformations"):
                found.append((f"{uid}: {item['panel']['title']}", item["panel"], item["frames"]))
    return found


def test_every_transformation_is_known_and_leaves_frames_with_fields(answered: list[Panel]) -> None:
    assert answered
    results = transform([(panel["transformations"], given) for _, panel, given in answered])
    for (name, _, given), result in zip(answered, results, strict=True):
        assert result.error is None, f"{name}: {result.error}"
        assert any(frame["fields"] for frame in given), f"{name} has no rows to look at"
        assert result.frames, name
        for frame in result.frames:
            assert frame["fields"], name
            assert all(len(field["values"]) == frame["length"] for field in frame["fields"]), name


def test_the_traces_keep_every_span_and_their_tags_are_parsed(answered: list[Panel]) -> None:
    traces = [one for one in answered if one[1]["type"] == "traces"]
    assert {name.partition(":")[0] for name, _, _ in traces} == {
        "celerytrail-task",
        "celerytrail-workflow",
    }
    results = transform([(panel["transformations"], given) for _, panel, given in traces])
    for (name, _, (given,)), result in zip(traces, results, strict=True):
        (made,) = result.frames
        before, after = columns(given), columns(made)
        assert after.keys() == before.keys(), name
        assert len(after["spanID"]) == len(before["spanID"]) > 0, name
        for column, values in before.items():
            if column in PARSED:
                expected = [None if one is None else json.loads(one) for one in values]
                assert after[column] == expected, f"{name}: {column}"
            else:
                assert after[column] == values, f"{name}: {column}"
        assert all(isinstance(tags, list) and tags for tags in after["tags"]), name
        assert all(set(tag) >= {"key", "value"} for tags in after["tags"] for tag in tags), name
        roots = [one for one in after["parentSpanID"] if not one]
        assert len(roots) == 1, f"{name} has {len(roots)} roots"
        assert {one for one in after["parentSpanID"] if one} <= set(after["spanID"]), name


def test_a_value_that_is_parsed_already_would_be_lost(browser: None) -> None:
    """Why the queries write ::text: this is what the package does with jsonb."""
    conversion = {
        "id": "convertFieldType",
        "options": {"conversions": [{"targetField": "tags", "destinationType": "other"}]},
    }
    tags = [{"key": "a", "value": 1}]
    of_text = frames.as_json([frames.Field("tags", "string", (json.dumps(tags),))], "A")
    of_json = frames.as_json([frames.Field("tags", "other", (tags,))], "A")
    text, parsed = transform([([conversion], [of_text]), ([conversion], [of_json])])
    assert columns(text.frames[0])["tags"] == [tags]
    assert columns(parsed.frames[0])["tags"] == [None]


def test_partition_by_values_makes_a_frame_for_each(browser: None) -> None:
    """The one transformation that is not in the package and is written here."""
    given = frames.as_json(
        [
            frames.Field("time", "time", (1, 2, 3)),
            frames.Field("worker", "string", ("a", "b", "a")),
            frames.Field("state", "string", ("x", "y", "z")),
        ],
        "A",
    )
    how = {
        "id": "partitionByValues",
        "options": {"fields": ["worker"], "naming": {"asLabels": True}},
    }
    (result,) = transform([([how], [given])])
    assert [columns(frame) for frame in result.frames] == [
        {"time": [1, 3], "state": ["x", "z"]},
        {"time": [2], "state": ["y"]},
    ]
    assert [frame["fields"][1]["labels"] for frame in result.frames] == [
        {"worker": "a"},
        {"worker": "b"},
    ]
