"""The panels of the dashboard Audit about what was erased, and which days retention dropped."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import table as table_panel

from celerytrail.dashboards.columns import TIME, Column
from celerytrail.dashboards.panels import plain, stat, steps, table
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import GOOD, WARNING


def erasure_state(span: int) -> stat_panel.Panel:
    """Return how many erasures are open, and how many tasks are marked."""
    return stat(
        "Erasures",
        QueryFile("audit", "erasure_state"),
        description=(
            "Now: erasures that are not finished, tasks that they have still to erase, and tasks marked as erased, whose late "
            "payloads are refused. Bad when open stays: celerytrail maintain finishes what was broken off."
        ),
        unit="locale",
        no_value="0",
        thresholds=plain(),
        span=span,
        columns=[
            Column("open", "open", 0, unit="locale", steps=steps(GOOD, (1, WARNING))),
            Column("left", "left", 0, unit="locale", steps=steps(GOOD, (1, WARNING))),
            Column("marks", "marked", 0, unit="locale", steps=plain()),
        ],
    )


def erasures() -> table_panel.Panel:
    """Return what was erased, and which days went."""
    return table(
        "Erasures and retention",
        QueryFile("audit", "erasures"),
        [
            Column("time", "Time", 152, unit=TIME),
            Column("what", "What", 85),
            Column("actor", "Who", 150),
            Column(
                "state",
                "State",
                110,
                colours={"done": GOOD, "announced": WARNING, "dropped": WARNING},
            ),
            Column("subject", "Of what", 330),
            Column("went", "Went", 330),
            Column("id", "Action", 120),
        ],
        description=(
            "Erasures of user data and days that retention dropped, in the time range or not finished. Announced: "
            "waits for a checkpoint, or for readers. Dropped: tasks still go from the read model. Bad: open for long."
        ),
        no_value="Nothing was erased or dropped in this time range",
        height=7,
    )
