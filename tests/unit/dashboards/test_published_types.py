"""The files against the types that Grafana publishes for them, as the SDK carries them.

Reading a dashboard into those types and writing it again keeps only what they know. So whatever is
lost on the way is a key that Grafana would not read, or a value of the wrong shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "grafana_foundation_sdk", reason="grafana-foundation-sdk needs Python 3.11 or newer"
)

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

PROVISIONED = Path(__file__).parents[3] / "provisioning" / "grafana" / "dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in PROVISIONED.glob("*.json")}


@pytest.fixture(autouse=True)
def _panel_types() -> None:
    register_default_plugins()


def kept(value: dict[str, Any]) -> Any:
    return json.loads(JSONEncoder().encode(Dashboard.from_json(value)))


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{place}]")
    elif before != after:
        yield path


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_nothing_of_a_dashboard_is_unknown_to_them(name: str) -> None:
    assert list(lost(DASHBOARDS[name], kept(DASHBOARDS[name]))) == []


@pytest.mark.parametrize(
    ("panel", "path", "key"),
    [
        (0, (), "descripton"),
        (0, ("options",), "colourMode"),
        (0, ("options", "reduceOptions"), "calc"),
        (0, ("fieldConfig", "defaults"), "novalue"),
        (1, ("options",), "cellHigh"),
        (1, ("fieldConfig", "defaults", "custom"), "widht"),
    ],
)
def test_a_mistyped_key_would_be_noticed(panel: int, path: tuple[str, ...], key: str) -> None:
    dashboard = json.loads(json.dumps(DASHBOARDS["tasks"]))
    place = dashboard["panels"][panel]
    for step in path:
        place = place.setdefault(step, {})
    place[key] = "anything"
    assert any(where.endswith(f".{key}") for where in lost(dashboard, kept(dashboard)))
