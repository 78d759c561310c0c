"""The parameters of a request: from its query string, its JSON body, or both where they agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import marshmallow
from flask import Request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from celerytrail.action_api.errors import BadRequest

UNFILLED = "$reason"
"""Grafana 11.6 and 12.0 send the name of a variable of an action instead of what was typed."""

MAX_PARAMETERS = 32
_MULTILINE = frozenset({"reason"})


def read_parameters(request: Request) -> dict[str, str]:
    """Return the parameters by name; an empty one, and a literal ``$reason``, counts as not given.

    A body is read from POST alone: a JSON object of texts and whole numbers. Raises BadRequest for
    a name that comes twice in one place or with two values in both, for what is not UTF-8, and for
    control characters.
    """
    found = _from_query(request.query_string)
    if request.method == "POST":
        for name, value in _from_body(_body(request)).items():
            if found.setdefault(name, value) != value:
                raise BadRequest(f"{_shown(name)}: query string and body give different values")
    return found


def _from_query(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except UnicodeError as exc:
        raise BadRequest("the query string is not UTF-8 in percent-encoding") from exc
    except ValueError as exc:
        raise BadRequest(f"the query string has more than {MAX_PARAMETERS} parameters") from exc
    return _accepted(pairs, "query string")


def _body(request: Request) -> bytes:
    body = request.get_data()
    most = request.max_content_length
    if request.content_length is None and most is not None and len(body) >= most:
        raise RequestEntityTooLarge  # a body without a length is cut there, and not refused
    return body


def _from_body(body: bytes) -> dict[str, str]:
    if not body.strip():
        return {}
    pairs: list[tuple[str, str]] = []
    try:
        document = json.loads(body, object_pairs_hook=_Pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise BadRequest("the body is not JSON") from exc
    if not isinstance(document, _Pairs):
        raise BadRequest("the body is not a JSON object")
    if len(document) > MAX_PARAMETERS:
        raise BadRequest(f"the body has more than {MAX_PARAMETERS} parameters")
    for name, value in document:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise BadRequest(f"{_shown(name)}: has to be a text or a whole number")
        pairs.append((name, value))
    return _accepted(pairs, "body")


class _Pairs(list[Any]):
    """A JSON object as its pairs, so that a name that comes twice can be seen."""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _accepted(pairs: list[tuple[str, str]], where: str) -> dict[str, str]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"{_shown(twice)}: comes twice in the {where}")
    for name, value in pairs:
        _require_writable(name, value)
    return {name: value for name, value in pairs if value not in ("", UNFILLED)}


def _require_writable(name: str, value: str) -> None:
    allowed = "\t\r\n" if name in _MULTILINE else ""
    for text, also in ((name, ""), (value, allowed)):
        if any((ord(c) < 32 or 127 <= ord(c) < 160) and c not in also for c in text):
            raise BadRequest(f"{_shown(name)}: holds a control character")
        if any(0xD800 <= ord(c) < 0xE000 for c in text):
            raise BadRequest(f"{_shown(name)}: is not Unicode text")


def _shown(name: str) -> str:
    """Return a name for an error message: what a stranger sent, cut short and harmless."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in name[:40]) or "(no name)"


class ActionParser(FlaskParser):
    """Reads a schema's fields as ``read_parameters`` says; whatever does not fit is a 400."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"query": marshmallow.RAISE}  # noqa: RUF012

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Mapping[str, str]:
        """Return the parameters for webargs to load by the schema."""
        return read_parameters(req)

    def handle_error(
        self,
        error: marshmallow.ValidationError,
        req: Request,
        schema: marshmallow.Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        """Turn a complaint of the schema into a BadRequest that names the parameter."""
        messages: Any = error.messages
        if isinstance(messages, Mapping) and set(messages) == {"query"}:
            messages = messages["query"]
        said = [
            f"{_shown(str(name))}: {' '.join(map(str, texts))}"
            for name, texts in sorted(messages.items())
        ]
        raise BadRequest("; ".join(said[:5])) from error
