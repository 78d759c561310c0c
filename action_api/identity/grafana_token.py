"""Grafana's ID token (``X-Grafana-Id``): a signed statement of who is logged in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import exceptions as jwt_errors

from celerytrail.action_api.config import GrafanaOrg
from celerytrail.action_api.errors import ActionApiError
from celerytrail.action_api.identity.headers import MAX_TOKEN_CHARACTERS
from celerytrail.action_api.identity.refused import Why, refused
from celerytrail.action_api.identity.token_keys import TokenKeys

ALGORITHM = "ES256"
LEEWAY_SECONDS = 30
_REQUIRED = ["exp", "iss", "aud", "sub", "type"]
_MAX_KID_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class GrafanaToken:
    """What a valid token says. ``role`` is None where the token has no such claim."""

    username: str
    subject: str
    role: str | None


def verify_token(token: str, org: GrafanaOrg, keys: TokenKeys) -> GrafanaToken:
    """Verify a token as one that Grafana made for a user of this organisation (RFC 7519).

    The key is looked up by the token's ``kid`` among Grafana's own, and only ES256 is taken: what
    the token's header asks for does not choose how it is verified. ``aud`` has to be this
    organisation and nothing else. Raises NotAuthenticated, or Unavailable without keys.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise refused(Why.TOKEN_MALFORMED, "Grafana's token is longer than any of Grafana's")
    kid = _key_id(token)
    key = keys.key(kid)
    if key is None:
        raise refused(Why.TOKEN_KEY, "Grafana's token is signed by a key that Grafana has not")
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=org.issuer,
            audience=f"org:{org.org_id}",
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
    except jwt_errors.PyJWTError as exc:
        raise _translated(exc) from exc
    except (ValueError, TypeError, RecursionError) as exc:
        raise refused(Why.TOKEN_MALFORMED, "Grafana's token cannot be read") from exc
    return _checked(claims, org)


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt_errors.PyJWTError, ValueError, TypeError, RecursionError) as exc:
        raise refused(Why.TOKEN_MALFORMED, "Grafana's token cannot be read") from exc
    if header.get("alg") != ALGORITHM:
        raise refused(Why.TOKEN_ALGORITHM, f"Grafana's token is not signed by {ALGORITHM}")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_CHARACTERS:
        raise refused(Why.TOKEN_KEY, "Grafana's token does not say which key signed it")
    return kid


def _checked(claims: Mapping[str, Any], org: GrafanaOrg) -> GrafanaToken:
    audience = claims["aud"]
    if audience not in (f"org:{org.org_id}", [f"org:{org.org_id}"]):
        # The library is content with one match among several.
        raise refused(Why.TOKEN_AUDIENCE, "Grafana's token is for more than this organisation")
    if claims["type"] != "user":
        raise refused(
            Why.TOKEN_TYPE, "Grafana's token is not that of a person: log in, or use an API token"
        )
    username, subject, role = claims.get("username"), claims["sub"], claims.get("role")
    if not isinstance(username, str) or not username:
        raise refused(Why.TOKEN_CLAIM, "Grafana's token names no user")
    if not isinstance(subject, str) or not (role is None or isinstance(role, str)):
        raise refused(Why.TOKEN_CLAIM, "Grafana's token has a claim of a wrong kind")
    return GrafanaToken(username, subject, role)


_REASONS: tuple[tuple[type[Exception], Why, str], ...] = (
    (jwt_errors.ExpiredSignatureError, Why.TOKEN_EXPIRED, "has expired: load the page again"),
    (jwt_errors.ImmatureSignatureError, Why.TOKEN_TIME, "is from the future: compare the clocks"),
    (jwt_errors.InvalidIssuedAtError, Why.TOKEN_TIME, "is from the future: compare the clocks"),
    (
        jwt_errors.InvalidIssuerError,
        Why.TOKEN_ISSUER,
        "has another issuer than the configuration's: it has to equal Grafana's root_url",
    ),
    (jwt_errors.InvalidAudienceError, Why.TOKEN_AUDIENCE, "is for another organisation"),
    (jwt_errors.InvalidAlgorithmError, Why.TOKEN_ALGORITHM, f"is not signed by {ALGORITHM}"),
    (jwt_errors.MissingRequiredClaimError, Why.TOKEN_CLAIM, "lacks a claim"),
    (jwt_errors.InvalidSignatureError, Why.TOKEN_SIGNATURE, "has a wrong signature"),
)


def _translated(exc: Exception) -> ActionApiError:
    for kind, why, said in _REASONS:
        if isinstance(exc, kind):
            if isinstance(exc, jwt_errors.MissingRequiredClaimError):
                said = f"lacks the claim {exc.claim}"
            return refused(why, f"Grafana's token {said}")
    return refused(Why.TOKEN_MALFORMED, "Grafana's token cannot be read")
