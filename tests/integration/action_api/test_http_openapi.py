"""The OpenAPI document and the application say the same, and stand what is made up from it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.integration.action_api.grafana_identity import context
from tests.integration.action_api.served import SHOP_PARAMETERS, Served, alice

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

pytest_plugins = ["tests.integration.action_api.served_fixtures"]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PROOFS = {"authorization", "x-celerytrail-proxy", "x-grafana-id", "x-grafana-context"}
LONGEST = 7000
"""A longer address is refused by gunicorn (414), before there is an application to ask."""

ACTIONS = {
    "/v1/operator/retry",
    "/v1/operator/cancel",
    "/v1/operator/terminate",
    "/v1/operator/retry-chord",
    "/v1/operator/preview/retry-chord",
    "/v1/admin/purge",
    "/v1/admin/preview/purge",
}
READINGS = {"/v1/viewer/whoami", "/v1/viewer/queues", "/v1/viewer/action"}
OPEN = {"/v1/openapi.json", "/live", "/ready", "/metrics"}


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.api.request("GET", "/v1/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_names_the_addresses_of_the_contract(document: dict[str, Any]) -> None:
    found = {(method, path) for method, path, _ in operations(document)}
    assert found == {("post", path) for path in ACTIONS} | {
        ("get", path) for path in READINGS | OPEN
    }


def test_every_operation_but_health_asks_who_you_are(
    served: Served, document: dict[str, Any]
) -> None:
    for method, path, operation in operations(document):
        assert ("security" in operation) == (path not in OPEN), path
        answer = served.api.request(method.upper(), path)
        assert (answer.status == 401) == (path not in OPEN), path


@pytest.mark.parametrize("path", sorted(ACTIONS | READINGS | OPEN - {"/v1/openapi.json"}))
def test_made_up_requests_get_documented_answers(served: Served, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{served.api.url}/v1/openapi.json")
    (operation,) = [
        found
        for found in (result.ok() for result in schema.get_all_operations())
        if found.path == path
    ]
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    strategy = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])
    seen = set()

    @given(case=strategy, ours=st.booleans(), known=st.booleans())
    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any, ours: bool, known: bool) -> None:
        if ours and isinstance(case.query, dict):
            case.query = {**case.query, **SHOP_PARAMETERS}
        if known:
            made_up = {n: v for n, v in (case.headers or {}).items() if n.lower() not in PROOFS}
            # The client writes headers in ISO 8859-1, and Grafana in UTF-8: ASCII is both.
            case.headers = {**made_up, **alice(), "X-Grafana-Context": json.dumps(context())}
        assume(len(urlencode(case.query or {})) < LONGEST)
        response = case.call()
        seen.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    ask()
    if path not in OPEN:
        assert 401 in seen
        assert len(seen) > 1
