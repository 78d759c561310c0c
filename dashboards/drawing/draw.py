"""Draws dashboards to pictures, with Grafana's npm packages, in a browser without a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from celerytrail.dashboards.drawing import node_project
from celerytrail.dashboards.drawing.browser import run_script
from celerytrail.dashboards.drawing.data_source import DataSource
from celerytrail.dashboards.drawing.server import serving
from celerytrail.dashboards.drawing.sheet import Asked, Sheet, View, sheet

_SECONDS_A_PICTURE: Final = 90


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be drawn: a dashboard's JSON, how it is looked at, and the file to write."""

    dashboard: Mapping[str, Any]
    view: View
    out: Path


@dataclass(frozen=True, slots=True)
class PanelSeen:
    """What one panel shows.

    ``text`` is what can be read in it, ``marks`` counts drawings, ``buttons`` and ``links`` are
    theirs. ``cut`` and ``scrolls`` tell by how many pixels the content is larger than the panel,
    ``below`` and ``right``: cut off, or within reach of a scroll bar. ``outside`` are labels that
    stand out of the panel.
    """

    title: str
    type: str
    text: str
    marks: int
    buttons: tuple[str, ...]
    links: tuple[str, ...]
    cut: Mapping[str, int]
    scrolls: Mapping[str, int]
    outside: tuple[str, ...]
    hidden_rows: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a picture: the queries, the panels, and every error, of which there may be none.

    ``caption`` is what the picture says of itself.
    """

    out: Path
    width: int
    height: int
    asked: tuple[Asked, ...]
    panels: tuple[PanelSeen, ...]
    errors: tuple[str, ...]
    caption: str


def draw(
    pictures: Sequence[Picture], dsn: str, dashboards: Sequence[Mapping[str, Any]] = ()
) -> list[Report]:
    """Draw pictures of what the role of the DSN can see, and report what is on them.

    A query that fails or a panel that cannot be drawn is an error in the report, and in the picture.
    ``dashboards`` are all that there are, for their links to each other.

    Raises:
        DrawingError: something is missing on this machine, or a dashboard cannot be drawn at all.
    """
    node_project.ready()
    with DataSource(dsn) as data_source:
        sheets = [sheet(one.dashboard, one.view, data_source, dashboards) for one in pictures]
    names = [str(number) for number in range(len(pictures))]
    with serving({name: one.page for name, one in zip(names, sheets, strict=True)}) as address:
        job = {
            "base": address,
            "chromium": node_project.chromium(),
            "pictures": [
                {"sheet": name, "out": str(one.out.absolute()), "width": one.view.width}
                for name, one in zip(names, pictures, strict=True)
            ],
        }
        seen = run_script("shoot.mjs", job, _SECONDS_A_PICTURE * (1 + len(pictures)))
    return [
        _report(picture, drawn, found)
        for picture, drawn, found in zip(pictures, sheets, seen, strict=True)
    ]


def _report(picture: Picture, drawn: Sheet, found: Mapping[str, Any]) -> Report:
    items = {item["key"]: item["panel"] for item in drawn.page["items"]}
    panels = tuple(
        PanelSeen(
            title=items[one["key"]].get("title", ""),
            type=items[one["key"]]["type"],
            text=one["text"],
            marks=one["marks"],
            buttons=tuple(one["buttons"]),
            links=tuple(one["links"]),
            cut=one["cut"],
            scrolls=one["scrolls"],
            outside=tuple(one["outside"]),
            hidden_rows=one["hidden_rows"],
        )
        for one in found["panels"]
    )
    errors = tuple(
        ": ".join(filter(None, (one.get("panel"), one["message"]))) for one in found["errors"]
    )
    return Report(
        out=picture.out,
        width=found["width"],
        height=found["height"],
        asked=drawn.asked,
        panels=panels,
        errors=errors,
        caption=found["caption"],
    )
