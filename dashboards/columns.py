"""Columns of tables: each is named as in its query and says its title, width and unit itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.models.dashboard import Action, DynamicConfigValue, Threshold

from celerytrail.dashboards.links import Link
from celerytrail.dashboards.state_colours import STATE_COLOURS, value_map

TIME = "time:YYYY-MM-DD HH:mm:ss"
"""The unit of a moment: the same in every language, and it sorts."""

NOTHING = "–"
"""What a cell shows where there is no value: the text of the panel is for a table without rows."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``unit`` "string" leaves text as it is: Grafana would format ``0042`` as a number."""

    name: str
    title: str
    width: int
    unit: str = "string"
    colours: Mapping[str, str] | None = None
    steps: Sequence[Threshold] = ()
    links: Sequence[Link] = ()
    wraps: bool = False
    actions: Sequence[Action] = ()
    extra: Sequence[DynamicConfigValue] = field(default=())
    no_value: str = NOTHING

    def properties(self) -> list[DynamicConfigValue]:
        """Return the overrides of this column."""
        found = [
            DynamicConfigValue("displayName", self.title),
            DynamicConfigValue("unit", self.unit),
            # Nothing to click on where there is nothing to go to.
            DynamicConfigValue("noValue", "" if self.links else self.no_value),
            DynamicConfigValue("custom.width", self.width),
        ]
        if self.unit == "string" and not self.wraps and not self.actions:
            found.append(DynamicConfigValue("custom.filterable", True))
        if self.colours:
            found += [
                DynamicConfigValue("mappings", [value_map(self.colours)]),
                DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ]
        if self.steps:
            found += [
                DynamicConfigValue(
                    "thresholds", {"mode": "absolute", "steps": [s.to_json() for s in self.steps]}
                ),
                DynamicConfigValue("color", {"mode": "thresholds"}),
                DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ]
        if self.wraps:
            found += [
                # Grafana 11.6 reads the first, newer ones the second.
                DynamicConfigValue("custom.cellOptions", {"type": "auto", "wrapText": True}),
                DynamicConfigValue("custom.wrapText", True),
                DynamicConfigValue("custom.inspect", True),
            ]
        if self.links:
            found.append(DynamicConfigValue("links", list(self.links)))
        if self.actions:
            found += [
                DynamicConfigValue("custom.cellOptions", {"type": "actions"}),
                DynamicConfigValue("actions", list(self.actions)),
            ]
        return [*found, *self.extra]


def state_column(name: str = "state", title: str = "State", width: int = 100) -> Column:
    """Return the column of a task's state, in the colours of states."""
    return Column(name, title, width, colours=STATE_COLOURS)


def key_column(name: str) -> Column:
    """Return a column that nobody sees and buttons read.

    Older versions of Grafana hide it by ``custom.hidden``, newer ones by ``custom.hideFrom``. It has no
    text for an empty value, because a button would send that text.
    """
    return Column(
        name,
        name,
        80,
        no_value="",
        extra=(
            DynamicConfigValue("custom.hidden", True),
            DynamicConfigValue("custom.hideFrom", {"viz": True, "legend": True, "tooltip": True}),
        ),
    )


def buttons_column(actions: Sequence[Action], width: int) -> Column:
    """Return the virtual column ``actions`` with a row's buttons."""
    return Column("actions", "Actions", width, actions=actions, no_value="")
