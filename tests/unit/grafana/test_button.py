"""The stand-in for a click fills in what Grafana fills in, and encodes only the query."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from tests.grafana.button import click

ACTION = {
    "type": "fetch",
    "title": "Retry",
    "confirmation": "Retry ${__data.fields.task_name}?",
    "fetch": {
        "method": "POST",
        "url": "/api/plugin-proxy/celerytrail-app/operator/retry",
        "queryParams": [
            ["task_id", "${__data.fields.task_id}"],
            ["namespace", '${__data.fields["name space"]}'],
            ["queue", "${queue}"],
            ["reason", "$reason"],
        ],
        "headers": [["Content-Type", "application/json"]],
        "body": "{}",
    },
}
text = st.text(max_size=40)


@given(task_id=text, namespace=text, reason=text)
def test_whatever_is_in_a_row_arrives_as_it_is(task_id: str, namespace: str, reason: str) -> None:
    row = {"task_id": task_id, "name space": namespace, "task_name": "shop.pay"}
    made = click(ACTION, row, variables={"queue": "a&b"}, answers={"reason": reason})
    address = urlsplit(made.path)
    assert address.path == "/api/plugin-proxy/celerytrail-app/operator/retry"
    sent = parse_qs(address.query, keep_blank_values=True)
    assert sent == {
        "task_id": [task_id],
        "namespace": [namespace],
        "queue": ["a&b"],
        "reason": [reason],
    }
    assert made.body == b"{}"
    assert made.headers["X-Grafana-Action"] == "1"
    assert made.confirmation == "Retry shop.pay?"


def test_a_grafana_before_12_1_leaves_the_names_of_the_actions_variables() -> None:
    row = {"task_id": "t", "name space": None, "task_name": "x"}
    sent = parse_qs(urlsplit(click(ACTION, row).path).query, keep_blank_values=True)
    assert sent["reason"] == ["$reason"]
    assert sent["namespace"] == [""]
