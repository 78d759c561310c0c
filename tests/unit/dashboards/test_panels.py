"""What every dashboard and every panel must have, read from the files that Grafana provisions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.grafana.button import panels_of

PROVISIONED = Path(__file__).parents[3] / "provisioning" / "grafana" / "dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in PROVISIONED.glob("*.json")}
SHARED = ["namespace", "service", "environment", "queue", "task", "worker", "state"]
UIDS = {
    "overview": "celerytrail-overview",
    "tasks": "celerytrail-tasks",
    "task": "celerytrail-task",
    "audit": "celerytrail-audit",
}
GRID = 24
MOST_OPEN = 15

pytestmark = pytest.mark.parametrize("name", sorted(DASHBOARDS))


def queries(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            yield target["rawSql"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]


def test_it_is_classic_json_that_nobody_edits_in_place(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == UIDS.get(name, f"celerytrail-{name}")
    assert dashboard["schemaVersion"] == 41
    assert dashboard["editable"] is False
    assert not dashboard.keys() & {"id", "version", "apiVersion", "kind", "spec"}
    # With it, newer versions of Grafana hide a link in a menu.
    assert not any("placement" in link for link in dashboard["links"])
    assert dashboard["description"]
    assert dashboard["refresh"]
    assert "celerytrail" in dashboard["tags"]
    assert dashboard["timezone"] == "browser"


def test_the_variables_are_the_same_in_the_same_order(name: str) -> None:
    variables = DASHBOARDS[name]["templating"]["list"]
    names = [variable["name"] for variable in variables]
    assert names[-len(SHARED) :] == SHARED
    # What is typed comes first and is a dashboard's own.
    assert all(variable["type"] == "textbox" for variable in variables[: -len(SHARED)])
    for variable in variables[-len(SHARED) :]:
        assert variable["multi"] is True
        assert variable["includeAll"] is True
        assert variable["current"]["value"] == ["$__all"]
        # Grafana inserts it as it is, in every format: without quotes the query would not parse.
        assert variable["allValue"] == "'$__all'"
        assert variable["description"]
        if variable["type"] == "query":
            assert variable["refresh"] == 2
            assert variable["datasource"]["uid"] == "celerytrail-pg"


def test_panels_say_what_they_show(name: str) -> None:
    lacking = []
    for panel in panels_of(DASHBOARDS[name]):
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        if panel["type"] == "text":
            continue
        wanted = {
            "title": panel.get("title"),
            "description": panel.get("description"),
            "unit": defaults.get("unit"),
            "noValue": defaults.get("noValue"),
            "thresholds": defaults.get("thresholds"),
        }
        lacking += [f"{panel.get('title')}: {key}" for key, value in wanted.items() if not value]
    assert lacking == []


def test_panels_have_ids_in_order_and_their_own_titles(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    every = [p["id"] for panel in panels for p in (panel, *(panel.get("panels") or []))]
    assert every == list(range(1, len(every) + 1))
    titles = [panel["title"] for panel in panels_of(DASHBOARDS[name])]
    assert len(titles) == len(set(titles))


def test_panels_lie_side_by_side_on_the_grid(name: str) -> None:
    boxes = [(p["title"], p["gridPos"]) for p in DASHBOARDS[name]["panels"]]
    assert len(boxes) <= MOST_OPEN
    for title, box in boxes:
        assert 0 <= box["x"] < box["x"] + box["w"] <= GRID, title
    for (one, a), (other, b) in combinations(boxes, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, f"{one} lies over {other}"


def test_every_query_goes_to_the_provisioned_data_source(name: str) -> None:
    for panel in panels_of(DASHBOARDS[name]):
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)), panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == {
                "type": "grafana-postgresql-datasource",
                "uid": "celerytrail-pg",
            }
            assert target["format"] in ("table", "time_series")
            assert target["rawSql"].strip()


def test_variables_reach_a_query_as_quoted_text_only(name: str) -> None:
    dashboard = DASHBOARDS[name]
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    for sql in queries(dashboard):
        for variable, form in re.findall(r"\$\{(\w+)(?::(\w+))?\}", sql):
            assert variable in known, sql
            assert form == "sqlstring", f"${{{variable}}} without quotes in {sql}"
        for variable in re.findall(r"\$(\w+)", sql):
            assert variable.startswith("__"), f"${variable} without quotes in {sql}"


def test_every_variable_narrows_something(name: str) -> None:
    dashboard = DASHBOARDS[name]
    used = set(re.findall(r"\$\{(\w+):sqlstring\}", " ".join(queries(dashboard))))
    own = {v["name"] for v in dashboard["templating"]["list"]} - set(SHARED)
    assert own <= used


def test_a_macro_takes_no_nested_call_and_no_comment_holds_one(name: str) -> None:
    for sql in queries(DASHBOARDS[name]):
        # Grafana reads up to the first closing parenthesis.
        assert not re.search(r"\$__\w+\([^)]*\(", sql), sql
        for comment in re.findall(r"--[^\n]*", sql):
            assert "$" not in comment, comment


def test_columns_have_a_width_and_text_stays_text(name: str) -> None:
    for panel in panels_of(DASHBOARDS[name]):
        if panel["type"] != "table":
            continue
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["id"] == "byName"
            properties = {p["id"]: p.get("value") for p in override["properties"]}
            column = f"{panel['title']}: {override['matcher']['options']}"
            assert properties["custom.width"] >= 50, column
            assert properties["unit"], column
            # A cell without a value is not a panel without rows.
            assert properties["noValue"] != panel["fieldConfig"]["defaults"]["noValue"], column


def test_links_keep_the_time_range_and_the_variables(name: str) -> None:
    dashboard = DASHBOARDS[name]
    (menu,) = dashboard["links"]
    assert menu["keepTime"] is True
    assert menu["includeVars"] is True
    addresses = re.findall(r'"url": "(/d/[^"]*)"', json.dumps(dashboard))
    for address in addresses:
        assert "${__url_time_range}" in address or "&from=" in address, address
        for variable in SHARED:
            assert f"${{{variable}:queryparam}}" in address or f"var-{variable}=" in address
        for field in re.findall(r"\$\{__data\.fields\.(\w+)(?::(\w+))?\}", address):
            assert field[1] == "percentencode", address
