"""The OpenAPI document: made from the routes and schemas themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, TypeVar

from flask import Flask
from flask_smorest import Api
from flask_smorest import Blueprint as SmorestBlueprint
from flask_smorest.utils import prepare_response
from marshmallow import Schema

from celerytrail.action_api.http.parameters import ActionParser
from celerytrail.action_api.http.problem import MEDIA_TYPE
from celerytrail.action_api.http.schemas import ProblemAnswer

View = TypeVar("View", bound=Callable[..., Any])

READ = (400, 401, 403, 429, 500, 503)
ACT = (400, 401, 403, 404, 409, 413, 415, 429, 500, 503)
"""The statuses of errors that a request to read, or to act, may get."""

_SECURITY: list[Mapping[str, list[str]]] = [
    {"grafana_secret": [], "grafana_token": [], "grafana_context": []},
    {"api_token": []},
]
_ACTION_HEADER: Mapping[str, Any] = {
    "in": "header",
    "name": "X-Celerytrail-Action",
    "required": True,
    "schema": {"type": "string", "enum": ["1"]},
    "description": "No form of another origin can send it. Or X-Grafana-Action, as buttons do.",
}
_BODY: Mapping[str, Any] = {
    "description": "Empty where the parameters are in the query string, as they are described here. "
    "They may be members of this object instead; the same one in both has to be equal.",
    "required": True,
    "content": {"application/json": {"schema": {"type": "object", "maxProperties": 0}}},
}


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    """A blueprint whose parameters are read as ours are, with typed decorators."""

    ARGUMENTS_PARSER = ActionParser()

    def at(self, method: str, rule: str) -> Callable[[View], View]:
        """Return a decorator that puts a view at an address; the outermost of all."""
        found: Callable[[View], View] = self.route(rule, methods=[method])
        return found

    def takes(self, schema: type[Schema]) -> Callable[[View], View]:
        """Return a decorator that hands a view its parameters, as loaded by a schema."""
        found: Callable[[View], View] = self.arguments(schema, location="query")
        return found

    def answers(
        self,
        schema: type[Schema] | Mapping[str, str],
        *,
        content_type: str | None = None,
        description: str | None = None,
    ) -> Callable[[View], View]:
        """Return a decorator that dumps what a view returns by a schema, with status 200."""
        found: Callable[[View], View] = self.response(
            200, schema, content_type=content_type, description=description
        )
        return found


class ActionApi(Api):  # type: ignore[misc]
    """The application's document; errors are problem documents in it, as they are in truth."""

    ERROR_SCHEMA = ProblemAnswer
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            response: dict[str, Any] = {"description": status.phrase, "schema": ProblemAnswer}
            prepare_response(response, self.spec, MEDIA_TYPE)
            self.spec.components.response(status.name, response, lazy=True)

    def _register_error_handlers(self) -> None:
        """Leave errors to ``audited.answer_errors``."""


def errors(blueprint: Blueprint, *statuses: int) -> Callable[[View], View]:
    """Return a decorator that documents the errors a view may answer with."""

    def decorate(view: View) -> View:
        for status in statuses:
            view = blueprint.alt_response(status, HTTPStatus(status).name)(view)
        return view

    return decorate


def acts(blueprint: Blueprint) -> Callable[[View], View]:
    """Return a decorator that documents a view that changes something or looks before that."""

    def decorate(view: View) -> View:
        documented: View = blueprint.doc(security=_SECURITY, requestBody=_BODY)(
            errors(blueprint, *ACT)(view)
        )
        # Beside the parameters of the schema; as manual documentation it would replace them.
        described: Any = documented
        described._apidoc["arguments"]["parameters"].append(dict(_ACTION_HEADER))
        return documented

    return decorate


def reads(blueprint: Blueprint) -> Callable[[View], View]:
    """Return a decorator that documents a view that only reads."""

    def decorate(view: View) -> View:
        documented: View = blueprint.doc(security=_SECURITY)(errors(blueprint, *READ)(view))
        return documented

    return decorate


def make_document(app: Flask) -> ActionApi:
    """Return what the blueprints are registered with; its ``spec`` is the document."""
    app.config.update(
        API_TITLE="celerytrail action API",
        API_VERSION=version("celerytrail"),
        OPENAPI_VERSION="3.0.3",
    )
    api = ActionApi(app)
    header = {"type": "apiKey", "in": "header"}
    components = api.spec.components
    components.security_scheme("grafana_secret", {**header, "name": "X-Celerytrail-Proxy"})
    components.security_scheme("grafana_token", {**header, "name": "X-Grafana-Id"})
    components.security_scheme("grafana_context", {**header, "name": "X-Grafana-Context"})
    components.security_scheme("api_token", {"type": "http", "scheme": "bearer"})
    return api
