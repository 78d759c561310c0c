"""Variables as a dashboard's JSON defines them."""

from __future__ import annotations

from typing import Any

import pytest

from celerytrail.dashboards.grafana_sql.errors import VariableError
from celerytrail.dashboards.grafana_sql.templating import definition, definitions_of, opening_value
from celerytrail.dashboards.grafana_sql.variables import ALL, Definition

QUERY: dict[str, Any] = {"name": "queue", "type": "query", "multi": True, "includeAll": True}


def test_a_definition() -> None:
    assert definition(QUERY, ["a", "b"]) == Definition(True, True, None, ("a", "b"))
    assert definition({**QUERY, "allValue": "'$__all'"}).all_value == "'$__all'"
    assert definition({**QUERY, "allValue": ""}).all_value is None


def test_a_custom_variable_brings_its_options() -> None:
    custom = {"name": "state", "type": "custom", "query": "a, Nice : b ,c\\,d"}
    assert definition(custom).options == ("a", "b", "c,d")
    assert definitions_of({"templating": {"list": [custom]}})["state"].options == ("a", "b", "c,d")
    assert definitions_of({}) == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (QUERY, [ALL]),
        ({**QUERY, "multi": False}, ALL),
        ({**QUERY, "includeAll": False}, "first"),
        ({**QUERY, "current": {"value": ["x"]}}, ["x"]),
        ({**QUERY, "current": {"value": "x"}}, "x"),
        ({"name": "a", "type": "textbox", "query": "typed"}, "typed"),
        ({"name": "a", "type": "textbox", "current": {"value": ""}}, ""),
        ({"name": "a", "type": "constant", "query": "c"}, "c"),
    ],
)
def test_the_value_when_a_dashboard_is_opened(variable: dict[str, Any], value: object) -> None:
    assert opening_value(variable, ["first", "second"]) == value


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(VariableError, match="adhoc"):
        opening_value({"name": "filters", "type": "adhoc"})
