"""What Grafana makes of an alert rule of a provisioned file: which alerts fire, with which labels.

Restates the rules for tabular data: each row is an alert of its own, its one numeric column is the
value, every other column is text and a label, and no two rows have the same labels. No row is the
state that ``noDataState`` names.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.grafana.data_source import DataSource

ALERTING = Path(__file__).parents[2] / "provisioning" / "grafana" / "alerting"

NUMBERS = {"int2", "int4", "int8", "float4", "float8", "numeric"}
TEXTS = {"text", "varchar", "bpchar", "name"}
COMPARE: Mapping[str, Callable[[float, float], bool]] = {"gt": operator.gt, "lt": operator.lt}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert that fires."""

    labels: Mapping[str, str]
    value: float


def provisioned_groups() -> list[dict[str, Any]]:
    """Return the groups of rules of all provisioned files."""
    found: list[dict[str, Any]] = []
    for path in sorted(ALERTING.glob("*.yaml")):
        found += yaml.safe_load(path.read_text()).get("groups", [])
    return found


def provisioned_rule(uid: str) -> dict[str, Any]:
    """Return the rule with this uid."""
    rules: list[dict[str, Any]] = [
        rule for group in provisioned_groups() for rule in group["rules"] if rule["uid"] == uid
    ]
    (found,) = rules
    return found


def evaluate(rule: Mapping[str, Any], source: DataSource) -> list[Alert]:
    """Return the alerts that a rule fires now, once its ``for`` has passed."""
    data = {item["refId"]: item for item in rule["data"]}
    condition = data[rule["condition"]]
    assert condition["datasourceUid"] == "__expr__"
    assert condition["model"]["type"] == "threshold"
    query = data[condition["model"]["expression"]]["model"]
    assert query["format"] == "table"

    frame = source.ask(query["rawSql"], {}, hours=24)
    numbers = [
        name for name, kind in zip(frame.columns, frame.types, strict=True) if kind in NUMBERS
    ]
    others = {
        name: kind
        for name, kind in zip(frame.columns, frame.types, strict=True)
        if kind not in NUMBERS
    }
    assert len(numbers) == 1, f"one numeric column is the value, not {numbers}"
    assert set(others.values()) <= TEXTS, others

    (test,) = condition["model"]["conditions"]
    compare, limit = COMPARE[test["evaluator"]["type"]], test["evaluator"]["params"][0]
    alerts = [
        # Grafana drops a label without a value.
        Alert({name: row[name] for name in others if row[name]}, float(row[numbers[0]]))
        for row in frame.dicts()
    ]
    labels = [tuple(sorted(alert.labels.items())) for alert in alerts]
    assert len(set(labels)) == len(labels), "two rows with the same labels are an error"
    if not alerts:
        assert rule["noDataState"] == "OK"
    return [alert for alert in alerts if compare(alert.value, limit)]
