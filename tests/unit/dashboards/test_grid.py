"""Where panels are in the grid of a dashboard."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.dashboards.drawing.errors import DrawingError
from celerytrail.dashboards.drawing.grid import COLUMNS, places


def panel(x: int, y: int, w: int, h: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "stat",
        "title": f"{x},{y}",
        "gridPos": {"x": x, "y": y, "w": w, "h": h},
        **more,
    }


def test_panels_move_up_to_the_next_one() -> None:
    dashboard = {"panels": [panel(0, 7, 24, 3), panel(0, 0, 12, 4), panel(12, 0, 12, 2)]}
    assert [(one.x, one.y, one.h) for one in places(dashboard)] == [
        (0, 0, 4),
        (12, 0, 2),
        (0, 4, 3),
    ]


def test_a_collapsed_row_counts_its_panels_and_hides_them() -> None:
    row = panel(0, 0, 24, 1, type="row", collapsed=True, panels=[panel(0, 1, 12, 4)] * 2)
    (title, below) = places({"panels": [row, panel(0, 1, 24, 4)]})
    assert title.is_row
    assert title.hidden_panels == 2
    assert not below.is_row
    assert below.y == 1


@pytest.mark.parametrize(
    "wrong",
    [
        [panel(0, 0, 13, 4), panel(12, 3, 12, 4)],
        [panel(20, 0, 5, 4)],
        [panel(-1, 0, 5, 4)],
        [panel(0, 0, 0, 4)],
        [panel(0, 0, 12, 4, repeat="queue")],
    ],
)
def test_what_grafana_would_not_show_like_this_is_an_error(wrong: list[dict[str, Any]]) -> None:
    with pytest.raises(DrawingError):
        places({"panels": wrong})


@given(st.lists(st.tuples(st.integers(1, 24), st.integers(1, 9)), max_size=12))
def test_panels_below_each_other_never_overlap_and_leave_no_gap(
    sizes: list[tuple[int, int]],
) -> None:
    panels = [panel(0, number * 10, w, h) for number, (w, h) in enumerate(sizes)]
    found = places({"panels": panels})
    assert [(one.w, one.h) for one in found] == sizes
    assert [one.y for one in found] == [sum(h for _, h in sizes[:n]) for n in range(len(sizes))]


@given(st.integers(1, COLUMNS))
def test_a_row_of_panels_fills_the_page(columns: int) -> None:
    one = places({"panels": [panel(0, 0, columns, 1)]})[0]
    assert 0 < one.width_px(1600) <= 1600 - 32
    if columns == COLUMNS:
        assert one.width_px(1600) == 1600 - 32
