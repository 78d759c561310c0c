"""Turns the dashboards into the files that Grafana provisions, and says which of them are not up to date.

The JSON is the classic form, which every version from 11.6 on reads. Nothing in it depends on the machine or
the time: the same sources give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from celerytrail.dashboards import audit, failures, overview, task, tasks, workflow
from celerytrail.dashboards.alert_rules import RUNBOOK
from celerytrail.dashboards.alerts import alerting_yaml
from celerytrail.dashboards.errors import DashboardsError

DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = MappingProxyType(
    {
        "overview": overview.overview,
        "tasks": tasks.tasks,
        "task": task.task,
        "workflow": workflow.workflow,
        "failures": failures.failures,
        "audit": audit.audit,
    }
)
"""Every dashboard by the name of its file."""

SCHEMA_VERSION = 41
"""What Grafana 11.6 knows; later versions migrate it when they load it. The SDK would write 42."""

_UNUSED_OF_VARIABLES = ("auto", "auto_count", "auto_min", "skipUrlSync")


def files(runbook: str = RUNBOOK) -> dict[Path, str]:
    """Return the text of every generated file by its path under provisioning/grafana.

    ``runbook`` is the address of the runbook that alerts link to.
    """
    models = {name: dashboard_model(build()) for name, build in DASHBOARDS.items()}
    return {
        **{Path("dashboards", f"{name}.json"): as_json(model) for name, model in models.items()},
        Path("alerting", "celerytrail.yaml"): alerting_yaml(
            panel_id, lambda name: str(models[name]["uid"]), runbook
        ),
    }


def write(folder: Path, runbook: str = RUNBOOK) -> list[Path]:
    """Write all files under ``folder`` and return their paths.

    Raises DashboardsError when the folder cannot be written.
    """
    written = []
    for name, text in files(runbook).items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as exc:
            raise DashboardsError(f"{path} cannot be written: {exc.strerror}") from exc
        written.append(path)
    return written


def stale(folder: Path, runbook: str = RUNBOOK) -> list[Path]:
    """Return the files under ``folder`` that are missing or are not what would be written."""
    found = []
    for name, text in files(runbook).items():
        path = folder / name
        try:
            current = path.read_text(encoding="utf-8")
        except OSError:
            current = None
        if current != text:
            found.append(path)
    return found


def dashboard_model(dashboard: Dashboard) -> dict[str, Any]:
    """Return a dashboard as the plain JSON value that is written.

    Panels get the ids 1, 2, 3 ... in the order in which they stand. What the SDK writes for
    newer versions only is taken out: a link that hides in a menu, a schema that is too new.
    """
    model: dict[str, Any] = json.loads(JSONEncoder().encode(dashboard.build()))
    for name in ("id", "version"):
        model.pop(name, None)
    model["schemaVersion"] = SCHEMA_VERSION
    model["editable"] = False
    for link in model.get("links", []):
        link.pop("placement", None)
    for variable in model["templating"]["list"]:
        for name in _UNUSED_OF_VARIABLES:
            variable.pop(name, None)
    for number, panel in enumerate(_panels(model), start=1):
        panel["id"] = number
    return model


def panel_id(name: str, title: str) -> int:
    """Return the id of a panel, for what links to it, such as an alert rule.

    ``name`` is that of the file. Raises DashboardsError when there is no such panel, or more than one.
    """
    if name not in DASHBOARDS:
        raise DashboardsError(f"there is no dashboard {name!r}: {', '.join(DASHBOARDS)}")
    found = [
        panel["id"]
        for panel in _panels(dashboard_model(DASHBOARDS[name]()))
        if panel["title"] == title
    ]
    if len(found) != 1:
        raise DashboardsError(f"dashboard {name!r} has {len(found)} panels named {title!r}")
    return int(found[0])


def as_json(model: Mapping[str, Any]) -> str:
    """Return the JSON text of a file: keys sorted, ready for a line by line comparison."""
    return json.dumps(model, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _panels(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for panel in model["panels"]:
        found += [panel, *(panel.get("panels") or [])]
    return found
