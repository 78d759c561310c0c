"""What every request to /v1 passes before anything of it is read: who, how often, from where."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from flask import Flask, g, request
from werkzeug.exceptions import UnsupportedMediaType

from celerytrail.action_api.errors import NotAllowed
from celerytrail.action_api.http.services import services
from celerytrail.action_api.identity.authenticate import Identity

ACTION_HEADERS = ("X-Grafana-Action", "X-Celerytrail-Action")
_SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def request_id() -> str:
    """Return the id of this request. It is always ours: one from outside could imitate another's."""
    if "request_id" not in g:
        g.request_id = str(uuid.uuid4())
    found: str = g.request_id
    return found


def identity() -> Identity:
    """Return who was recognised; only behind ``require_identity``."""
    found: Identity = g.identity
    return found


def known_identity() -> Identity | None:
    """Return who was recognised, None before that or where nobody was."""
    found: Identity | None = g.get("identity")
    return found


def require_identity() -> None:
    """Recognise the caller and count the request; for ``before_request`` of a blueprint.

    Raises NotAuthenticated, Unavailable, TooManyRequests.
    """
    g.identity = services().authenticator.authenticate(dict(request.headers))
    services().rate_limit.take(g.identity.actor.label)


def require_action_request() -> None:
    """Let a request that changes something pass only as no web page of another origin can send it.

    Raises NotAllowed without one of the action headers, UnsupportedMediaType (415) for a body that
    is no JSON or is encoded.
    """
    if request.method != "POST":
        return
    if not any(request.headers.get(name) == "1" for name in ACTION_HEADERS):
        raise NotAllowed(
            f"one of the headers {' and '.join(ACTION_HEADERS)} has to be there, with the value 1",
            code="action_header_missing",
        )
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding"):
        raise UnsupportedMediaType


def add_security_headers(app: Flask) -> None:
    """Have every answer say that it is not to be stored, framed, sniffed or run."""

    @app.after_request
    def add(response):  # type: ignore[no-untyped-def]
        for name, value in _SECURITY_HEADERS.items():
            response.headers[name] = value
        response.headers["X-Request-Id"] = request_id()
        return response
