"""The file by which Grafana provisions the alert rules.

Contact points and policies are no part of it: a file with a policy replaces the whole tree of the
organisation's policies. Only annotations name labels and values. The file is no place for a label with a
``$``: Grafana puts variables of its environment in there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from celerytrail.dashboards.alert_rules import ALERT_RULES, RUNBOOK, AlertRule
from celerytrail.dashboards.sql_files import sql_text
from celerytrail.dashboards.uids import DATA_SOURCE, DATA_SOURCE_TYPE, FOLDER

GROUP = "celerytrail"
INTERVAL = "30s"
ORG_ID = 1

_QUERY = "A"
_CONDITION = "C"
_EXPRESSIONS = "__expr__"
_HEAD = "# Generated from dashboards/alert_rules.py and dashboards/queries/alerts by `make dashboards`. Do not edit.\n"

PanelId = Callable[[str, str], int]


def alerting_yaml(panel_id: PanelId, uid_of: Callable[[str], str], runbook: str = RUNBOOK) -> str:
    """Return the text of ``alerting/celerytrail.yaml``.

    ``panel_id`` gives the id of a panel by the name of its dashboard's file and its title,
    ``uid_of`` the uid of that dashboard; ``runbook`` is the address that the anchors are of. Raises
    DashboardsError when a query or panel is missing.
    """
    content = {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": ORG_ID,
                "name": GROUP,
                "folder": FOLDER,
                "interval": INTERVAL,
                "rules": [_rule(rule, panel_id, uid_of, runbook) for rule in ALERT_RULES],
            }
        ],
    }
    return _HEAD + yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def _rule(
    rule: AlertRule, panel_id: PanelId, uid_of: Callable[[str], str], runbook: str
) -> dict[str, Any]:
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": _CONDITION,
        "data": [
            {
                "refId": _QUERY,
                # The queries say themselves how far back they look.
                "relativeTimeRange": {"from": 86400, "to": 0},
                "datasourceUid": DATA_SOURCE,
                "model": {
                    "refId": _QUERY,
                    "datasource": {"type": DATA_SOURCE_TYPE, "uid": DATA_SOURCE},
                    "editorMode": "code",
                    "format": "table",
                    "rawQuery": True,
                    "rawSql": sql_text("alerts", rule.query) + "\n",
                    "intervalMs": 1000,
                    "maxDataPoints": 43200,
                },
            },
            {
                "refId": _CONDITION,
                "relativeTimeRange": {"from": 86400, "to": 0},
                "datasourceUid": _EXPRESSIONS,
                "model": {
                    "refId": _CONDITION,
                    "datasource": {"type": _EXPRESSIONS, "uid": _EXPRESSIONS},
                    "type": "threshold",
                    "expression": _QUERY,
                    "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
                },
            },
        ],
        "dashboardUid": uid_of(rule.panel[0]),
        "panelId": panel_id(*rule.panel),
        # No row is no trouble; a query that fails is.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.waits,
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "dashboard": rule.dashboard,
            "runbook_url": f"{runbook}#{rule.anchor}",
        },
        "labels": {"severity": rule.severity, "component": GROUP},
    }


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they stand."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
