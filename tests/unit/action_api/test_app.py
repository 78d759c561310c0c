"""The application without a server: routes and document, errors that nobody thought of, parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from celerytrail.action_api.action import ActionRequest, Outcome
from celerytrail.action_api.app import create_app
from celerytrail.action_api.config import ActionApiConfig, DeploymentSettings
from celerytrail.action_api.errors import BadRequest, Unavailable
from celerytrail.action_api.http.confirmation import Confirmations
from celerytrail.action_api.http.metrics import Metrics
from celerytrail.action_api.http.parameters import read_parameters
from celerytrail.action_api.http.rate_limit import RateLimit
from celerytrail.action_api.http.refusals import Refusals
from celerytrail.action_api.http.services import Services
from celerytrail.action_api.identity.authenticate import Authenticator
from celerytrail.action_api.ledger_pool import LedgerRefused
from celerytrail.action_api.rows import ApiToken
from celerytrail.exporter.deployment import Deployment

SHOP = Deployment("", "shop", "")
HEADERS = {"Authorization": "Bearer cta_" + "x" * 43, "X-Celerytrail-Action": "1"}


class Database:
    """The ledger, which knows one token and may be broken."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def ready(self) -> None:
        if self.error is not None:
            raise self.error

    def authenticate_api_token(self, token_hash: bytes) -> ApiToken | None:
        return ApiToken("id", "script", SHOP, frozenset({"retry"}))

    def append_refusal(self, **row: Any) -> None: ...
    def intent_state(self, intent_id: object) -> None: ...


class Shop:
    """What is behind the routes, broken in ways that only a mistake of ours could bring about."""

    def __init__(self) -> None:
        self.database = Database()
        self.error: Exception = ZeroDivisionError("the secret is 42")
        self.asked: list[ActionRequest] = []
        config = ActionApiConfig("host=db", (DeploymentSettings(SHOP, "redis://"),))
        metrics = Metrics()
        services = Services(
            config=config,
            ledger=self.database,  # type: ignore[arg-type]
            verbs={"retry": None},  # type: ignore[dict-item]
            perform=self.perform,  # type: ignore[arg-type]
            queues=self.queues,
            authenticator=Authenticator((), self.database.authenticate_api_token),
            refusals=Refusals(self.database, config.limits, metrics),
            rate_limit=RateLimit(10_000),
            confirmations=Confirmations(120),
            metrics=metrics,
        )
        self.app: Flask = create_app(services)
        self.client: FlaskClient = self.app.test_client()

    def perform(self, request: ActionRequest, *_: object) -> Outcome:
        self.asked.append(request)
        raise self.error

    def queues(self, deployment: Deployment) -> Sequence[Mapping[str, Any]]:
        raise self.error


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def test_the_document_lists_every_route_and_nothing_else(shop: Shop) -> None:
    document = shop.client.get("/v1/openapi.json").get_json()
    routes = {
        (method.lower(), rule.rule)
        for rule in shop.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "HEAD"
    }
    told = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert told == routes
    assert len(routes) == 14


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("the secret is 42"), LedgerRefused("the secret is 42")]
)
def test_what_went_wrong_inside_is_not_told(shop: Shop, error: Exception) -> None:
    shop.error = error
    for answer in (
        shop.client.get("/v1/viewer/queues?service=shop", headers=HEADERS),
        shop.client.post("/v1/operator/retry?service=shop&task_id=t", headers=HEADERS, json={}),
    ):
        assert answer.status_code == 500
        assert answer.content_type == "application/problem+json"
        text = answer.get_data(as_text=True)
        assert "secret" not in text
        assert "Traceback" not in text
        assert json.loads(text)["request_id"] == answer.headers["X-Request-Id"]


def test_what_is_unavailable_is_told_with_a_time(shop: Shop) -> None:
    shop.error = Unavailable("the broker is away", code="broker_unavailable", retry_after_seconds=7)
    answer = shop.client.get("/v1/viewer/queues?service=shop", headers=HEADERS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.get_json()["code"] == "broker_unavailable"


def test_an_unfit_database_is_not_ready_and_says_no_more(shop: Shop) -> None:
    shop.database.error = LedgerRefused("the secret is 42")
    answer = shop.client.get("/ready")
    shop.database.error = None
    assert (answer.status_code, answer.get_json()["code"]) == (503, "unavailable")
    assert "secret" not in answer.get_data(as_text=True)
    assert shop.client.get("/live").status_code == 200


def test_a_verb_gets_what_was_asked_for(shop: Shop) -> None:
    shop.error = Unavailable("away")
    shop.client.post(
        "/v1/operator/retry?service=shop&task_id=a%2Fb&reason=$reason",
        headers={**HEADERS, "Idempotency-Key": "k", "X-Request-Id": "mine"},
        json={},
    )
    asked = shop.asked[-1]
    assert (asked.verb, asked.deployment, dict(asked.parameters)) == (
        "retry",
        SHOP,
        {"task_id": "a/b"},
    )
    assert (asked.reason, asked.idempotency_key, asked.actor.label) == (None, "k", "token:script")
    assert asked.request_id != "mine"


texts = st.text(st.characters(blacklist_categories=()), max_size=20)


@given(query=st.binary(max_size=60), body=st.binary(max_size=60))
def test_any_bytes_are_parameters_or_a_bad_request(query: bytes, body: bytes) -> None:
    environ = EnvironBuilder(method="POST", input_stream=None, data=body).get_environ()
    environ["QUERY_STRING"] = query.decode("latin-1")
    try:
        found = read_parameters(Request(environ))  # type: ignore[arg-type]
    except BadRequest:
        return
    for name, value in found.items():
        assert value
        assert "\0" not in name + value
        (name + value).encode()


@given(st.dictionaries(texts, texts | st.integers() | st.none() | st.booleans(), max_size=4))
def test_any_object_is_parameters_or_a_bad_request(content: dict[str, Any]) -> None:
    environ = EnvironBuilder(method="POST", data=json.dumps(content).encode()).get_environ()
    try:
        found = read_parameters(Request(environ))  # type: ignore[arg-type]
    except BadRequest:
        return
    assert found == {
        name: str(value) for name, value in content.items() if value not in ("", "$reason")
    }
