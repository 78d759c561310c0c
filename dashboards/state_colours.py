"""The states of a task, each in its own colour on every panel.

Green is done, blue is on its way, orange needs patience, red needs a person, grey is over without
a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    ValueMap,
    ValueMappingResult,
)

STATE_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "sent": "#8AB8FF",
        "received": "#5794F2",
        "started": "#1F60C4",
        "succeeded": "#56A64B",
        "retried": "#FF9830",
        "failed": "#E02F44",
        "lost": "#AD0317",
        "aborted": "#C4162A",
        "rejected": "#F2495C",
        "unknown": "#FF7383",
        "malformed": "#FFA6B0",
        "expired": "#B877D9",
        "send_failed": "#8F3BB8",
        "revoked": "#8E8E8E",
        "purged": "#6E6E6E",
        "ignored": "#C8C8C8",
    }
)
"""Every state that the read model knows, in the order that legends and menus show them."""

PHASE_COLOURS: Mapping[str, str] = MappingProxyType({"waiting": "#FADE2A"})
"""What a timeline shows beside states: a message that waits in its queue."""

WORKFLOW_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "running": "#1F60C4",
        "succeeded": "#56A64B",
        "failed": "#E02F44",
        "partially failed": "#FF780A",
        "body never ran": "#AD0317",
        "broken off": "#B877D9",
    }
)
"""The states of a workflow."""

BAD = "#E02F44"
WARNING = "#FF9830"
GOOD = "#56A64B"
NEUTRAL = "#8E8E8E"
CALM = "#5794F2"


def value_map(colours: Mapping[str, str]) -> ValueMap:
    """Return the mapping that colours a value by its text and leaves the text as it is."""
    return ValueMap(
        {
            name: ValueMappingResult(color=colour, index=index, text=name)
            for index, (name, colour) in enumerate(colours.items())
        }
    )


def series_colour(colour: str) -> list[DynamicConfigValue]:
    """Return the override that fixes the colour of a series."""
    return [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})]
