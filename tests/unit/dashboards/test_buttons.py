"""Buttons: what is sent, and that nothing a person or a task named can change where it goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.grafana.button import actions_of, panels_of

PROVISIONED = Path(__file__).parents[3] / "provisioning" / "grafana" / "dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in PROVISIONED.glob("*.json")}
ACTIONS = [
    pytest.param(title, action, id=f"{name} / {title} / {action['title']}")
    for name, dashboard in DASHBOARDS.items()
    for title, action in actions_of(dashboard)
]


def columns(title: str) -> dict[str, dict[str, Any]]:
    (panel,) = [
        panel
        for dashboard in DASHBOARDS.values()
        for panel in panels_of(dashboard)
        if panel["title"] == title and list(actions_of({"panels": [panel]}))
    ]
    return {
        override["matcher"]["options"]: {p["id"]: p.get("value") for p in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }


def test_the_buttons_that_the_dashboards_promise_are_there() -> None:
    found = {
        name: {action["title"] for _, action in actions_of(dashboard)}
        for name, dashboard in DASHBOARDS.items()
    }
    assert found["overview"] == {"Purge", "Terminate"}
    assert found["tasks"] == {"Retry", "Cancel", "Terminate"}
    assert found["task"] == {"Retry", "Cancel", "Terminate", "Retry whole chord"}


@pytest.mark.parametrize(("title", "action"), ACTIONS)
def test_only_the_query_holds_what_differs(title: str, action: dict[str, Any]) -> None:
    fetch = action["fetch"]
    assert action["type"] == "fetch"
    assert fetch["method"] == "POST"
    route = "admin" if action["title"] == "Purge" else "operator"
    assert re.fullmatch(rf"/api/plugin-proxy/celerytrail-app/{route}/[a-z-]+", fetch["url"])
    assert fetch["body"] == "{}"
    assert fetch["headers"] == [["Content-Type", "application/json"]]


@pytest.mark.parametrize(("title", "action"), ACTIONS)
def test_every_parameter_is_a_column_of_its_table(title: str, action: dict[str, Any]) -> None:
    parameters = dict(action["fetch"]["queryParams"])
    known = columns(title)
    assert {"namespace", "service", "environment"} <= parameters.keys()
    assert parameters.pop("reason") == "$reason"
    assert [variable["key"] for variable in action["variables"]] == ["reason"]
    for name, value in parameters.items():
        (column,) = re.fullmatch(r"\$\{__data\.fields\.(\w+)\}", value).groups()  # type: ignore[union-attr]
        # An id like 0042 must not be formatted as a number, nor a count as 1,234.
        assert known[column]["unit"] == "string", name


@pytest.mark.parametrize(("title", "action"), ACTIONS)
def test_a_deployment_without_a_name_is_sent_without_one(
    title: str, action: dict[str, Any]
) -> None:
    # Grafana sends the text of a cell, and that of an empty one is its noValue.
    for name in ("namespace", "service", "environment"):
        assert columns(title)[name]["noValue"] == ""
        assert columns(title)[name]["custom.hidden"] is True
        assert columns(title)[name]["custom.hideFrom"]["viz"] is True


@pytest.mark.parametrize(("title", "action"), ACTIONS)
def test_it_asks_before_it_acts_and_names_what_it_acts_on(
    title: str, action: dict[str, Any]
) -> None:
    fields = set(re.findall(r"\$\{__data\.fields\.(\w+)\}", action["confirmation"]))
    assert fields & {"task_id", "group_id", "queue"}
    assert fields <= columns(title).keys()
