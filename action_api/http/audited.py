"""Turns every error into its answer, and those that are refusals into rows of the ledger."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import jwt
from flask import Flask, Response, g, request
from jwt.exceptions import PyJWTError
from werkzeug.exceptions import HTTPException

from celerytrail.action_api.actor import Actor
from celerytrail.action_api.errors import (
    ActionApiError,
    BadRequest,
    NotAllowed,
    NotAuthenticated,
    Refused,
    TooManyRequests,
    Unavailable,
)
from celerytrail.action_api.http.gate import known_identity, request_id
from celerytrail.action_api.http.parameters import read_parameters
from celerytrail.action_api.http.problem import problem_of
from celerytrail.action_api.http.refusals import Refusal
from celerytrail.action_api.http.services import services
from celerytrail.action_api.identity.headers import MAX_TOKEN_CHARACTERS, TOKEN
from celerytrail.action_api.identity.refused import Why
from celerytrail.exporter.deployment import Deployment

_log = logging.getLogger(__name__)

_REFUSALS = (NotAuthenticated, NotAllowed, Refused, TooManyRequests)
_HARMLESS = re.compile(r"[A-Za-z0-9._@:-]{1,64}")
_TARGETS = ("task_id", "group_id", "queue")


def answer_errors(app: Flask) -> None:
    """Have every error of an application answered as a problem document, refusals audited."""

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.errorhandler(ActionApiError)
    def known(error: ActionApiError) -> Response:
        refusal = _refusal_of(error)
        if refusal is not None:
            services().refusals.record(refusal)
        elif error.status >= 500:
            _log.error("request %s: %s: %s", request_id(), type(error).__name__, error)
        return problem_of(error, request_id())

    @app.errorhandler(HTTPException)
    def by_flask(error: HTTPException) -> Response:
        return problem_of(error, request_id())

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        services().metrics.unexpected.inc()
        _log.error("request %s failed", request_id(), exc_info=error)
        return problem_of(error, request_id())

    @app.after_request
    def measure(response: Response) -> Response:
        endpoint = request.endpoint or "none"
        seconds = time.perf_counter() - g.get("begun", time.perf_counter())
        services().metrics.request_seconds.labels(endpoint, str(response.status_code)).observe(
            seconds
        )
        return response


def _refusal_of(error: ActionApiError) -> Refusal | None:
    """Return what goes into the ledger, None for an error that refuses nobody."""
    known = known_identity()
    before_identity = known is None and isinstance(error, Unavailable)
    if not (isinstance(error, _REFUSALS) or before_identity):
        return None
    actor = known.actor if known else None
    why = error.why if isinstance(error, NotAuthenticated) else error.code
    if before_identity:
        why = Why.KEYS_UNAVAILABLE.value
    deployment, target = _about(actor)
    return Refusal(
        verb=request_verb(),
        code=error.code,
        why=why,
        request_id=request_id(),
        actor=actor,
        deployment=deployment,
        target=target,
        claimed=None if actor else _claimed(),
    )


def request_verb() -> str:
    """Return what was asked for, by the last part of the address: a verb, or what was to be read."""
    endpoint = (request.endpoint or "none").rpartition(".")[2]
    return endpoint.replace("_", "-")


def _about(actor: Actor | None) -> tuple[Deployment | None, Mapping[str, Any] | None]:
    """Return the deployment and target of a request; nothing of a stranger's is written down."""
    if actor is None:
        return None, None
    parameters: Mapping[str, str] = {}
    with suppress(BadRequest, HTTPException):
        parameters = read_parameters(request)
    names = [parameters.get(name, "") for name in ("namespace", "service", "environment")]
    deployment = Deployment(*names)
    known = services().config.settings_of(deployment) is not None
    target = {name: parameters[name][:255] for name in _TARGETS if name in parameters}
    return deployment if known else None, target or None


def _claimed() -> Mapping[str, str] | None:
    """Return who somebody said to be, where that is short and harmless: for a person to read."""
    token = request.headers.get(TOKEN, "")
    claims: Mapping[str, Any] = {}
    if 0 < len(token) <= MAX_TOKEN_CHARACTERS:
        with suppress(PyJWTError, ValueError, TypeError, RecursionError):
            claims = jwt.decode(token, options={"verify_signature": False})
    found = {
        name: value
        for name in ("username", "sub")
        if isinstance(value := claims.get(name), str) and _HARMLESS.fullmatch(value)
    }
    return found or None
