"""Grafana's view of who is logged in (``X-Grafana-Context``), which its plugin proxy sets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from celerytrail.action_api.errors import ActionApiError
from celerytrail.action_api.identity.headers import MAX_CONTEXT_CHARACTERS
from celerytrail.action_api.identity.refused import Why, refused

_NOT_A_PERSON = ("IsAnonymous", "IsDisabled", "IsServiceAccount")


@dataclass(frozen=True, slots=True)
class GrafanaContext:
    """The fields that are compared with the token."""

    login: str
    user_uid: str
    org_id: int
    org_role: str


def parse_context(text: str) -> GrafanaContext:
    """Return what the header says; keys that are not needed are passed over.

    Grafana writes its SignedInUser as JSON in UTF-8, and the set of its fields drifts from version
    to version. ``text`` is the header as WSGI gives it: each byte one character (PEP 3333).
    Raises NotAuthenticated for what is no such object, and for somebody who is anonymous,
    disabled, or a service account.
    """
    if len(text) > MAX_CONTEXT_CHARACTERS:
        raise _malformed("is larger than any of Grafana's")
    try:
        found = json.loads(text.encode("latin-1"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as exc:
        raise _malformed("is not one JSON object") from exc
    if not isinstance(found, dict):
        raise _malformed("is not one JSON object")
    for key in _NOT_A_PERSON:
        if found.get(key, False) is not False:
            raise refused(Why.CONTEXT_ANONYMOUS, f"Grafana says {key}: log in as a person")
    org_id = found.get("OrgID")
    if isinstance(org_id, bool) or not isinstance(org_id, int):
        raise _malformed("has no OrgID")
    return GrafanaContext(
        login=_text(found, "Login"),
        user_uid=_text(found, "UserUID"),
        org_id=org_id,
        org_role=_text(found, "OrgRole"),
    )


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise _malformed(f"has no {key}")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _malformed(problem: str) -> ActionApiError:
    return refused(Why.CONTEXT_MALFORMED, f"Grafana's context {problem}")
