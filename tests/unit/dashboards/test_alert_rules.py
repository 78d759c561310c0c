"""The provisioned file of alert rules has what Grafana reads, and leads to what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.grafana.alert_evaluation import ALERTING, provisioned_groups

ROOT = Path(__file__).parents[3]

# What pkg/services/provisioning/alerting/rules_types.go of Grafana reads, restated; other keys it ignores.
FILE_KEYS = {"apiVersion", "groups", "deleteRules"}
GROUP_KEYS = {"orgId", "name", "folder", "interval", "rules"}
RULE_KEYS = {
    "uid", "title", "condition", "data", "dashboardUid", "panelId", "noDataState", "execErrState", "for",
    "keepFiringFor", "missing_series_evals_to_resolve", "annotations", "labels", "isPaused",
    "notification_settings", "record",
}  # fmt: skip
REQUIRED_OF_RULE = {"uid", "title", "condition", "data"}
QUERY_KEYS = {"refId", "queryType", "relativeTimeRange", "datasourceUid", "model"}
DURATION = re.compile(r"^(0s|([0-9]+(ms|[smhdwy]))+)$")
UID = re.compile(r"^[a-zA-Z0-9_-]{1,40}$")
LABEL = re.compile(r"\{\{ *\$labels\.(\w+) *\}\}")


def rules() -> list[dict[str, Any]]:
    return [rule for group in provisioned_groups() for rule in group["rules"]]


def sql_of(rule: dict[str, Any]) -> str:
    return str(rule["data"][0]["model"]["rawSql"])


@pytest.fixture(params=rules(), ids=lambda rule: rule["uid"])
def rule(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each rule in turn."""
    found: dict[str, Any] = request.param
    return found


def test_the_rules_are_there_once_each() -> None:
    assert [rule["title"] for rule in rules()] == [
        "Root group failed",
        "Chord body never ran",
        "Events missing",
        "Chain broken or unverified",
        "Checkpoints are silent",
        "Read model differs",
        "Runs are stuck",
    ]
    assert len({rule["uid"] for rule in rules()}) == len(rules())


def test_a_rule_whose_labels_may_change_waits_for_a_second_look() -> None:
    (group,) = provisioned_groups()
    by_uid = {rule["uid"]: rule for rule in group["rules"]}
    # An earlier culprit that comes late would be a second alert, and the end of the first.
    assert (group["interval"], by_uid["celerytrail-root-group-failed"]["for"]) == ("30s", "30s")


def test_files_have_only_the_keys_that_grafana_reads_and_no_policy() -> None:
    for path in ALERTING.glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        assert set(content) <= FILE_KEYS, "a policy would replace the organisation's own"
        assert content["apiVersion"] == 1
        for group in content["groups"]:
            assert set(group) == GROUP_KEYS
            assert group["folder"] == "Celery"
            assert DURATION.match(group["interval"])
            # Grafana evaluates in steps of ten seconds.
            assert int(group["interval"].rstrip("s")) % 10 == 0


def test_keys_and_values_are_those_that_grafana_knows(rule: dict[str, Any]) -> None:
    assert REQUIRED_OF_RULE <= set(rule) <= RULE_KEYS
    assert UID.match(rule["uid"])
    assert rule["noDataState"] == "OK"
    assert rule["execErrState"] == "Error"
    assert DURATION.match(rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert {query["refId"] for query in rule["data"]} == {"A", "C"}
    for query in rule["data"]:
        assert set(query) <= QUERY_KEYS
        assert query["model"]["refId"] == query["refId"]
        assert query["model"]["datasource"]["uid"] == query["datasourceUid"]
        assert query["relativeTimeRange"]["from"] > query["relativeTimeRange"]["to"] == 0
    assert rule["condition"] == "C"
    assert rule["data"][0]["datasourceUid"] == "celerytrail-pg"


def test_it_leads_to_a_panel_that_there_is(rule: dict[str, Any]) -> None:
    dashboards = {
        found["uid"]: found
        for found in map(
            json.loads,
            (
                path.read_text()
                for path in (ROOT / "provisioning/grafana/dashboards").glob("*.json")
            ),
        )
    }
    opened = dashboards[rule["dashboardUid"]]
    assert rule["panelId"] in {panel["id"] for panel in opened["panels"]}
    link = rule["annotations"]["dashboard"]
    assert link.startswith(f"/d/{rule['dashboardUid']}?")
    known = {variable["name"] for variable in opened["templating"]["list"]}
    assert set(re.findall(r"var-(\w+)=", link)) <= known


def test_its_runbook_has_a_section_for_it(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert rule["title"] in headings


def test_a_dollar_stands_only_where_grafana_leaves_it_alone(rule: dict[str, Any]) -> None:
    # Labels: variables of the environment are put in, so a template would need $$.
    assert not [value for value in rule["labels"].values() if re.search(r"(?<!\$)\$(?!\$)", value)]
    # Annotations: newer versions put in what is in braces.
    assert not [value for value in rule["annotations"].values() if "${" in value]
    # The query is kept as it is, and has no variable of a dashboard: nobody chooses one here.
    assert "$" not in sql_of(rule)


def test_annotations_name_labels_that_the_query_returns(rule: dict[str, Any]) -> None:
    head = sql_of(rule).rsplit("\nFROM ", 1)[0].rsplit("SELECT", 1)[1]
    head = head.split("\nFROM ")[0]
    returned = {
        re.split(r"\bAS\b|\.", line.strip().rstrip(","))[-1].strip()
        for line in head.splitlines()
        if line.strip()
    }
    named = {name for text in rule["annotations"].values() for name in LABEL.findall(text)}
    assert named
    assert named <= returned


def test_a_runbook_of_ones_own_is_linked() -> None:
    pytest.importorskip(
        "grafana_foundation_sdk", reason="grafana-foundation-sdk needs Python 3.11 or newer"
    )
    from celerytrail.dashboards import build

    text = build.files("https://wiki.example/alerts")[Path("alerting", "celerytrail.yaml")]
    links = {
        rule["annotations"]["runbook_url"] for rule in yaml.safe_load(text)["groups"][0]["rules"]
    }
    assert "https://wiki.example/alerts#root-group-failed" in links
    assert len(links) == len(rules())
