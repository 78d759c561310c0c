"""Every error as problem details (RFC 9457), and nothing else: no page, no stack trace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from celerytrail.action_api.errors import ActionApiError, NotAuthenticated, Unavailable

MEDIA_TYPE = "application/problem+json"
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
_DETAILS = {
    404: "there is nothing at this address",
    405: "this address does not take that method",
    413: "the request is larger than this server takes",
    415: "a body has to be JSON: Content-Type: application/json",
}
_HIDDEN = "the action API could not do this; its log says why, under the request id"


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    """Return one problem document; ``extra`` are further members and replace no other."""
    document = {
        **(extra or {}),
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    return Response(json.dumps(document), status=status, content_type=MEDIA_TYPE)


def problem_of(error: Exception, request_id: str) -> Response:
    """Return the problem document of an error.

    What the caller may know of it is in our own errors below status 500, and in 503.
    """
    if isinstance(error, ActionApiError):
        hidden = error.status >= 500 and not isinstance(error, Unavailable)
        detail = _HIDDEN if hidden else str(error)
        response = problem(error.status, error.code, detail, request_id, error.extra)
        seconds = getattr(error, "retry_after_seconds", error.extra.get("retry_after_seconds"))
        if seconds is not None:
            response.headers["Retry-After"] = str(seconds)
        if isinstance(error, NotAuthenticated):
            response.headers["WWW-Authenticate"] = "Bearer"
        return response
    if isinstance(error, HTTPException) and error.code in _CODES:
        detail = _DETAILS.get(error.code, "the request is not well formed")
        response = problem(error.code, _CODES[error.code], detail, request_id)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response
    if isinstance(error, HTTPException) and error.code is not None and 400 <= error.code < 500:
        return problem(error.code, "bad_request", error.name, request_id)
    return problem(500, "internal", _HIDDEN, request_id)
