"""Where the panels of a dashboard are: in its grid of 24 columns, with rows open or collapsed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from celerytrail.dashboards.drawing.errors import DrawingError

COLUMNS: Final = 24
_GAP_PX: Final = 8
_MARGIN_PX: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A panel, or the title of a row, and its place in units of the grid."""

    panel: Mapping[str, Any]
    x: int
    y: int
    w: int
    h: int
    hidden_panels: int = 0

    @property
    def is_row(self) -> bool:
        """Tell whether it is the title of a row."""
        return str(self.panel["type"]) == "row"

    def width_px(self, page_width: int) -> int:
        """Return the width of the panel on a page of that width."""
        column = (page_width - 2 * _MARGIN_PX - (COLUMNS - 1) * _GAP_PX) / COLUMNS
        return round(self.w * column + (self.w - 1) * _GAP_PX)


def places(dashboard: Mapping[str, Any]) -> list[Place]:
    """Return the places of what is to be seen; panels of a collapsed row are counted, not shown.

    Panels move up until they meet another one, as in Grafana.

    Raises:
        DrawingError: a panel that is repeated, lies outside of the grid, or over another one.
    """
    found = sorted(_places(dashboard["panels"]), key=lambda one: (one.y, one.x))
    for one in found:
        if not (one.x >= 0 and one.x + one.w <= COLUMNS and one.w > 0 and one.h > 0):
            raise DrawingError(f"panel {_name(one)} lies outside of the grid")
    for index, one in enumerate(found):
        for other in found[index + 1 :]:
            if _overlap(one, other):
                raise DrawingError(f"panels {_name(one)} and {_name(other)} overlap")
    top = [0] * COLUMNS
    moved = []
    for one in found:
        columns = slice(one.x, one.x + one.w)
        y = max(top[columns])
        top[columns] = [y + one.h] * one.w
        moved.append(replace(one, y=y))
    return moved


def _places(panels: Sequence[Mapping[str, Any]]) -> Iterator[Place]:
    for panel in panels:
        if panel.get("repeat"):
            raise DrawingError(f"panel {panel.get('title')!r} is repeated, which is not known here")
        at = panel["gridPos"]
        hidden = len(panel.get("panels", [])) if panel.get("collapsed") else 0
        yield Place(panel, at["x"], at["y"], at["w"], at["h"], hidden)


def _overlap(one: Place, other: Place) -> bool:
    return (
        one.x < other.x + other.w
        and other.x < one.x + one.w
        and one.y < other.y + other.h
        and other.y < one.y + one.h
    )


def _name(place: Place) -> str:
    return repr(place.panel.get("title") or place.panel.get("id"))
