"""The server that the pages are tested with answers in the shapes of the real action API."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
from marshmallow import RAISE, Schema

from celerytrail.action_api.http.schemas import (
    ActionAnswer,
    PreviewAnswer,
    ProblemAnswer,
    QueuesAnswer,
    WhoAmIAnswer,
)
from tests.browser.contract_api import SECRET, SHOP, ContractApi

QUEUE = {**SHOP, "queue": "celery"}
CHORD = {**SHOP, "group_id": "chord-1"}


def send(api: ContractApi, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection(*api.address, timeout=10)
    headers = {"X-Celerytrail-Proxy": SECRET, "X-Grafana-Id": "token"}
    if method == "POST":
        headers |= {"Content-Type": "application/json", "X-Celerytrail-Action": "1"}
    try:
        connection.request(method, path, json.dumps(body or {}), headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "schema"),
    [
        ("GET", "/v1/viewer/whoami", None, WhoAmIAnswer),
        ("GET", "/v1/viewer/queues?service=shop", None, QueuesAnswer),
        ("POST", "/v1/admin/preview/purge", QUEUE, PreviewAnswer),
        ("POST", "/v1/admin/purge", QUEUE, ActionAnswer),
        ("POST", "/v1/operator/preview/retry-chord", CHORD, PreviewAnswer),
        ("POST", "/v1/operator/retry-chord", CHORD, ActionAnswer),
        ("POST", "/v1/operator/nothing", None, ProblemAnswer),
    ],
)
def test_every_answer_fits_the_schema_of_the_api(
    method: str, path: str, body: dict[str, Any] | None, schema: type[Schema]
) -> None:
    with ContractApi(queues={"celery": ["a", "b"]}, group="chord-1", members=["a", "b"]) as api:
        api.tells_new_group = "new_group_id" in ActionAnswer().fields
        if body is not None and schema is ActionAnswer:
            role, _, verb = path.removeprefix("/v1/").partition("/")
            shown = send(api, "POST", f"/v1/{role}/preview/{verb}", body)
            body = {**body, "confirmation": shown["confirmation"]}
        answer = send(api, method, path, body)
    assert schema(unknown=RAISE).validate(answer) == {}
