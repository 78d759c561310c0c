"""Every query of every dashboard and alert rule, asked as Grafana asks, of what the real pipeline stored."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from celerytrail.dashboards.errors import DashboardsError
from tests.acceptance.control_room import PLUGIN, ControlRoom
from tests.grafana.data_source import Frame, Value, all_dashboards, defaults, panels_of
from tests.waiting import wait_until

ALERTING = Path(__file__).parents[2] / "provisioning" / "grafana" / "alerting"
AWKWARD = 'it\'s "x" %s ${y} $1 \\ ; -- /* 日本'
NODE_FIELDS = {"id", "title"}
EDGE_FIELDS = {"id", "source", "target"}
TRACE_FIELDS = {
    "traceID", "spanID", "parentSpanID", "operationName", "serviceName", "startTime", "duration",
}  # fmt: skip


def queries_of(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield panel type, a name to find it by, and the SQL, of panels, variables and annotations."""
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            name = f"{dashboard['uid']} / {panel['title']} / {target['refId']}"
            yield f"{panel['type']}:{target['refId']}:{target['format']}", name, target["rawSql"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]
            sql = query if isinstance(query, str) else query["rawSql"]
            yield "variable", f"{dashboard['uid']} / ${variable['name']}", sql
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if "rawSql" in annotation.get("target", {}):
            yield (
                "annotation",
                f"{dashboard['uid']} / {annotation['name']}",
                annotation["target"]["rawSql"],
            )


def choices(dashboard: Mapping[str, Any], real: Mapping[str, str]) -> Iterator[dict[str, Value]]:
    """Yield what people choose: all, one, many, a value that is there, and one with quotes in it."""
    opened = defaults(dashboard)
    several = {v["name"] for v in dashboard["templating"]["list"] if v.get("multi")}
    yield opened
    yield {**opened, **{name: value for name, value in real.items() if name in opened}}
    for awkward in (AWKWARD, "'", "'); --"):
        yield dict.fromkeys(opened, awkward)
    yield {name: [AWKWARD, "b", "'"] if name in several else "'" for name in opened}
    yield dict.fromkeys(opened, "")


def complaints_about(kind: str, frame: Frame) -> list[str]:
    """Say what the panel could not draw of this frame."""
    said = []
    panel, _, rest = kind.partition(":")
    ref, _, shape = rest.partition(":")
    if len(set(frame.columns)) != len(frame.columns):
        said.append(f"a column twice: {frame.columns}")
    if shape == "time_series" and frame.rows:
        if "time" not in frame.columns:
            said.append("a time series without a column time")
        else:
            times = [row[frame.columns.index("time")] for row in frame.rows]
            if None in times or times != sorted(times):
                said.append("the times are not sorted, or null")
    if panel == "traces" and not set(frame.columns) >= TRACE_FIELDS:
        said.append(f"no trace: {frame.columns}")
    if panel == "traces" and frame.rows:
        types = dict(zip(frame.columns, frame.types, strict=True))
        if types["startTime"] != "float8" or types["duration"] != "float8":
            said.append(f"times of spans are {types['startTime']} and {types['duration']}")
        if any(value is None for value in (r[frame.columns.index("spanID")] for r in frame.rows)):
            said.append("a span without an id")
    if panel == "nodeGraph":
        wanted = EDGE_FIELDS if ref == "edges" else NODE_FIELDS
        if not set(frame.columns) >= wanted:
            said.append(f"no node graph: {ref} has {frame.columns}")
    if panel == "variable" and not {"__text", "__value"} >= set(frame.columns):
        said.append(f"a variable with columns {frame.columns}")
    return said


@pytest.mark.slow
def test_every_query_works_whatever_is_chosen(room: ControlRoom) -> None:
    room.broken.touch()
    worker = room.start_worker()
    chord = room.publish("chord", "4", "1")
    chain = room.publish("chain")
    charge = room.publish("charge", "7", "hunter2")
    room.publish("waiting", "nobody's", "3")
    wait_until(
        lambda: (
            room.pipeline.value(
                "SELECT count(*) FROM celerytrail_views.tasks WHERE state = 'failed'"
            )
            >= 3
        ),
        "three tasks have failed",
    )
    real = {
        "namespace": "shop", "service": "orders", "environment": "test", "queue": "celery",
        "task": "controlled.charge", "state": "failed", "task_id": charge["id"],
        "workflow_id": chord["group"], "search": "hunter",
    }  # fmt: skip
    broken, asked = [], 0
    for dashboard in all_dashboards().values():
        for (kind, name, sql), values in itertools.product(
            queries_of(dashboard), choices(dashboard, real)
        ):
            asked += 1
            try:
                said = complaints_about(kind, room.data.ask(sql, values, opened=dashboard))
            except (psycopg.Error, DashboardsError) as error:
                said = [f"{type(error).__name__}: {error}"]
            broken += [f"{name} with {values}: {what}" for what in said]
    for name, sql in alert_queries():
        asked += 1
        try:
            frame = room.data.ask(sql, {}, hours=1)
        except psycopg.Error as error:
            broken.append(f"{name}: {error}")
            continue
        numbers = [kind for kind in frame.types if re.match(r"int|float|numeric", kind)]
        labels = [kind for kind in frame.types if kind == "text"]
        if len(numbers) != 1 or len(numbers) + len(labels) != len(frame.types):
            broken.append(f"{name}: columns {frame.columns} of types {frame.types}")
    assert not broken, "\n".join(broken[:20])
    assert asked > 100
    assert chain["ids"]
    assert worker.stop() == 0


def alert_queries() -> Iterator[tuple[str, str]]:
    for path in sorted(ALERTING.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text()).get("groups", []):
            for rule in group["rules"]:
                for query in rule["data"]:
                    if "rawSql" in query["model"]:
                        yield rule["uid"], query["model"]["rawSql"]


def test_links_lead_to_dashboards_and_variables_that_there_are() -> None:
    dashboards = all_dashboards()
    variables = {
        uid: {variable["name"] for variable in one["templating"]["list"]}
        for uid, one in dashboards.items()
    }
    links = 0
    for uid, one in dashboards.items():
        for address in re.findall(r'/d/[^"\\ )]+', json.dumps(one, ensure_ascii=False)):
            links += 1
            path, _, query = address.partition("?")
            target = path.removeprefix("/d/").split("/")[0]
            assert target in dashboards, f"{uid} links to {address}"
            for name in re.findall(r"(?:^|&)var-(\w+)=", query):
                assert name in variables[target], f"{uid} links to {address}: no ${name} there"
            for name in re.findall(r"\$\{(\w+)(?::\w+)?\}", query):
                known = variables[uid] | {"__url_time_range", "__from", "__to", "__all_variables"}
                assert name in known or name.startswith("__"), f"{uid}: {address}: no ${name} here"
    assert links > 5


def test_links_to_the_plugin_lead_to_pages_that_it_has() -> None:
    pages = {one["path"] for one in json.loads((PLUGIN / "plugin.json").read_text())["includes"]}
    found = set(re.findall(r'/a/[^"\\?]+', json.dumps(list(all_dashboards().values()))))
    assert found == {"/a/celerytrail-app/purge", "/a/celerytrail-app/retry-chord"}
    assert found <= pages
