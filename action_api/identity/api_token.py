"""API tokens of scripts: ``Authorization: Bearer cta_...``, known to the database by their hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from celerytrail.action_api.actor import Actor, Role
from celerytrail.action_api.identity.refused import Why, refused
from celerytrail.action_api.rows import ApiToken
from celerytrail.action_api.verb_roles import MINIMUM_ROLE

_BEARER = re.compile(r"bearer +(cta_[A-Za-z0-9_-]{16,256})", re.IGNORECASE)


FindToken = Callable[[bytes], ApiToken | None]
"""From the SHA-256 of a token to what is known of it; None when it is unknown, expired or revoked."""


def token_of(authorization: str) -> str:
    """Return the token of an Authorization header (RFC 6750). Raises NotAuthenticated."""
    found = _BEARER.fullmatch(authorization.strip())
    if found is None:
        raise refused(
            Why.API_TOKEN_MALFORMED, "Authorization has to be: Bearer cta_... (an API token)"
        )
    return found[1]


def actor_of(token: str, find: FindToken) -> Actor:
    """Return the holder of a token, bound to its deployment and its verbs.

    The role is the highest that one of its verbs asks for, so that each of them can be done; what
    it may do is still only those. Raises NotAuthenticated, or Unavailable from ``find``.
    """
    known = find(hashlib.sha256(token.encode()).digest())
    if known is None:
        raise refused(Why.API_TOKEN_UNKNOWN, "the API token is unknown, expired or revoked")
    scopes = known.scopes & frozenset(MINIMUM_ROLE)
    return Actor(
        kind="token",
        name=known.name,
        subject=known.token_id,
        role=max((MINIMUM_ROLE[verb] for verb in scopes), default=Role.VIEWER),
        deployment=known.deployment.label,
        scopes=scopes,
    )
