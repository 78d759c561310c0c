"""Each dashboard is drawn, and looked at: nothing fails, nothing is empty, nothing is cut."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from celerytrail.dashboards.drawing.data_source import TimeRange
from celerytrail.dashboards.drawing.draw import PanelSeen, Picture, Report, draw
from celerytrail.dashboards.drawing.sheet import View
from tests.integration.dashboards.small_shop import CHORD, FAILED, FINGERPRINT

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

UIDS = (
    "celerytrail-overview",
    "celerytrail-tasks",
    "celerytrail-task",
    "celerytrail-workflow",
    "celerytrail-failures",
    "celerytrail-audit",
)
SHOWN = {"task_id": FAILED, "workflow_id": CHORD}
CAPTION = "Drawn outside Grafana from its npm packages"

# The first test waits for all pictures; who draws them gives up after more than ten minutes.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def reports(
    browser: None,
    small_shop: MigratedDatabase,
    dashboards: dict[str, dict[str, Any]],
    within: TimeRange,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Report]:
    """Every dashboard, drawn once."""
    assert set(dashboards) == set(UIDS)
    folder = tmp_path_factory.mktemp("pictures")
    pictures = []
    for uid, dashboard in dashboards.items():
        has = {variable["name"] for variable in dashboard["templating"]["list"]}
        values = {name: value for name, value in SHOWN.items() if name in has}
        view = View(within, values, "light" if uid == "celerytrail-audit" else "dark")
        pictures.append(Picture(dashboard, view, folder / f"{uid}.png"))
    drawn = draw(pictures, small_shop.dsn("grafana"), list(dashboards.values()))
    return dict(zip(dashboards, drawn, strict=True))


def panel_titled(dashboard: Mapping[str, Any], title: str) -> Mapping[str, Any]:
    found: Mapping[str, Any]
    (found,) = [panel for panel in dashboard["panels"] if panel.get("title") == title]
    return found


def no_value_of(dashboard: Mapping[str, Any], seen: PanelSeen) -> str:
    defaults = panel_titled(dashboard, seen.title).get("fieldConfig", {}).get("defaults", {})
    return str(defaults.get("noValue", ""))


@pytest.mark.parametrize("uid", UIDS)
def test_nothing_fails(reports: dict[str, Report], uid: str) -> None:
    report = reports[uid]
    assert report.errors == ()
    assert [one for one in report.asked if one.error is not None] == []
    assert report.caption == CAPTION


@pytest.mark.parametrize("uid", UIDS)
def test_every_panel_shows_data_or_says_that_there_are_none(
    reports: dict[str, Report], dashboards: dict[str, dict[str, Any]], uid: str
) -> None:
    report = reports[uid]
    open_panels = [panel for panel in dashboards[uid]["panels"] if panel["type"] != "row"]
    assert [one.title for one in report.panels] == [panel["title"] for panel in open_panels]
    with_rows = {one.panel for one in report.asked if one.rows}
    for seen in report.panels:
        assert seen.text, f"{seen.title} is empty"
        if seen.title not in with_rows and seen.type != "text":
            no_value = no_value_of(dashboards[uid], seen)
            assert no_value, f"{seen.title} has no text for no data"
            assert no_value in seen.text
        assert "No data" not in seen.text


@pytest.mark.parametrize("uid", UIDS)
def test_nothing_is_cut(reports: dict[str, Report], uid: str) -> None:
    for seen in reports[uid].panels:
        assert seen.cut == {"below": 0, "right": 0}, f"{seen.title} is larger than its panel"
        assert seen.outside == (), f"labels of {seen.title} stand out of its panel"
        if any(name in seen.text for name in ("Retry", "Cancel")) and seen.type == "table":
            assert seen.scrolls["right"] == 0, f"the buttons of {seen.title} are out of sight"


@pytest.mark.parametrize("uid", UIDS)
def test_the_picture_is_not_blank_and_not_too_large(reports: dict[str, Report], uid: str) -> None:
    report = reports[uid]
    content = report.out.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (report.width, report.height)
    assert width == 1600
    assert content[37:41] == b"PLTE"
    assert struct.unpack(">I", content[33:37])[0] >= 3 * 32, "fewer than 32 colours"
    assert len(content) < 250_000


def test_the_panels_show_what_is_in_the_database(reports: dict[str, Report]) -> None:
    def text(uid: str, title: str) -> str:
        (seen,) = [one for one in reports[uid].panels if one.title == title]
        return seen.text

    assert "shop.reserve_item" in text("celerytrail-tasks", "Newest tasks")
    assert "there is no 'teapot'" in text("celerytrail-task", "Arguments, exception, result")
    assert "ann" in text("celerytrail-task", "Who did what to it")
    assert "shop.notify" in text("celerytrail-workflow", "Waterfall")
    assert "shop.notify" in text("celerytrail-workflow", "Critical path")
    assert FINGERPRINT in text("celerytrail-failures", "Kinds of failures")
    assert "there is no 'teapot'" in text("celerytrail-failures", "Tasks that failed so")
    assert "not_allowed" in text("celerytrail-audit", "Actions and refusals")


def panel(number: int, kind: str, sql: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "type": kind,
        "title": f"panel {number}",
        "gridPos": {"x": 0, "y": number * 4, "w": 24, "h": 4},
        "targets": [{"refId": "A", "format": "table", "rawSql": sql}],
        **more,
    }


def test_what_is_wrong_is_reported_and_the_rest_is_drawn(
    browser: None, small_shop: MigratedDatabase, within: TimeRange, tmp_path: Path
) -> None:
    override = {
        "matcher": {"id": "byName", "options": "a"},
        "properties": [{"id": "colour", "value": 1}],
    }
    dashboard = {
        "uid": "wrong",
        "title": "Wrong",
        "templating": {"list": []},
        "panels": [
            panel(0, "table", "SELECT no_such_column"),
            panel(1, "table", "SELECT $__timeFliter(now())"),
            panel(2, "geomap", "SELECT 1 AS a"),
            panel(3, "traces", 'SELECT 1 AS "traceID", 2 AS "spanID"'),
            panel(4, "table", "SELECT 1 AS a", transformations=[{"id": "guess", "options": {}}]),
            panel(
                5, "table", "SELECT 1 AS a", fieldConfig={"defaults": {}, "overrides": [override]}
            ),
            panel(6, "table", "DELETE FROM celerytrail_views.tasks RETURNING task_id"),
            panel(7, "table", "SELECT 'all is well' AS a"),
        ],
    }
    picture = Picture(dashboard, View(within), tmp_path / "wrong.png")
    (report,) = draw([picture], small_shop.dsn("grafana"))
    expected = (
        "no_such_column",
        "__timeFliter",
        "geomap",
        "operationName",
        "guess",
        "colour",
        "DELETE|denied|read-only",
    )
    for number, text in enumerate(expected):
        of_panel = [error for error in report.errors if error.startswith(f"panel {number}:")]
        assert of_panel, f"panel {number} is wrong and nothing was said"
        assert any(word in " ".join(of_panel) for word in text.split("|")), of_panel
    assert not [error for error in report.errors if error.startswith("panel 7")]
    assert "all is well" in report.panels[7].text
