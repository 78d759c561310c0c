"""Who sends a request: a person through Grafana's plugin proxy, or a script with an API token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from celerytrail.action_api.actor import Actor, Role
from celerytrail.action_api.config import GrafanaOrg
from celerytrail.action_api.identity.api_token import FindToken, actor_of, token_of
from celerytrail.action_api.identity.grafana_context import GrafanaContext, parse_context
from celerytrail.action_api.identity.grafana_token import GrafanaToken, verify_token
from celerytrail.action_api.identity.headers import CONTEXT, PROXY, TOKEN, Headers, read_headers
from celerytrail.action_api.identity.refused import Why, refused
from celerytrail.action_api.identity.token_keys import TokenKeys

_ROLES = {"Viewer": Role.VIEWER, "Editor": Role.OPERATOR, "Admin": Role.ADMIN}
_MAX_NAME_BYTES = 256
_CONFIRMATION = b"celerytrail/confirmation/v1"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who was recognised, and a key that all replicas can derive for their confirmations.

    The key comes from the organisation's proxy secret or from the API token itself, never from
    what the database keeps.
    """

    actor: Actor
    confirmation_key: bytes = field(repr=False)


class Authenticator:
    """Recognises people and scripts; safe to use from several threads."""

    def __init__(
        self,
        orgs: Sequence[GrafanaOrg],
        find_token: FindToken,
        keys: Mapping[str, TokenKeys] | None = None,
    ) -> None:
        """Prepare for these organisations; ``keys`` by JWKS address are made where not given."""
        self._orgs = tuple(orgs)
        self._find_token = find_token
        self._keys = dict(keys or {})
        for org in self._orgs:
            self._keys.setdefault(org.jwks_url, TokenKeys(org.jwks_url))

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return who sends a request with these headers.

        Raises NotAuthenticated, or Unavailable when the database or Grafana's keys are needed
        and cannot be had. Proofs of two kinds in one request are refused: no answer to "which one
        holds?" is right.
        """
        proofs = read_headers(headers)
        if proofs.authorization is None:
            if proofs.proxy is None and proofs.token is None and proofs.context is None:
                raise refused(
                    Why.NOTHING, "nothing says who you are: come through Grafana, or use a token"
                )
            return self._through_grafana(proofs)
        if proofs.grafana or proofs.proxy is not None:
            raise refused(
                Why.MIXED, "Authorization together with Grafana's headers: send one of them"
            )
        token = token_of(proofs.authorization)
        return Identity(actor_of(token, self._find_token), _derived(token))

    def _through_grafana(self, proofs: Headers) -> Identity:
        org = self._org_of(proofs.proxy)
        if proofs.token is None:
            raise refused(Why.TOKEN_MISSING, f"the header {TOKEN} is missing")
        if proofs.context is None:
            raise refused(Why.CONTEXT_MISSING, f"the header {CONTEXT} is missing")
        token = verify_token(proofs.token, org, self._keys[org.jwks_url])
        context = parse_context(proofs.context)
        _require_same(token, context, org)
        actor = Actor(
            kind="grafana",
            name=token.username,
            subject=token.subject,
            role=_lower(token.role, context.org_role),
            org_id=org.org_id,
        )
        return Identity(actor, _derived(org.proxy_secret))

    def _org_of(self, secret: str | None) -> GrafanaOrg:
        if secret is None:
            raise refused(Why.SECRET_MISSING, f"the header {PROXY} is missing")
        given = hashlib.sha256(secret.encode()).digest()
        found = None
        # Every organisation is compared, always: how long it takes tells nothing.
        for org in self._orgs:
            known = hashlib.sha256(org.proxy_secret.encode()).digest()
            if hmac.compare_digest(given, known):
                found = org
        if found is None:
            raise refused(Why.SECRET_WRONG, f"the header {PROXY} holds no secret of this server")
        return found


def _require_same(token: GrafanaToken, context: GrafanaContext, org: GrafanaOrg) -> None:
    differs = {
        "Login": context.login != token.username,
        "OrgID": context.org_id != org.org_id,
        "UserUID": f"user:{context.user_uid}" != token.subject,
    }
    for key, different in differs.items():
        if different:
            raise refused(Why.CONTEXT_DIFFERS, f"Grafana's context and token differ in {key}")
    if not token.username.isprintable() or len(token.username.encode()) > _MAX_NAME_BYTES:
        raise refused(Why.TOKEN_CLAIM, "Grafana's token has a user name that cannot be written")


def _lower(in_token: str | None, in_context: str) -> Role:
    """Return the lower of two roles; a token of a Grafana before 11.6 has none."""
    roles = [_ROLES.get(in_context, Role.NOBODY)]
    if in_token is not None:
        roles.append(_ROLES.get(in_token, Role.NOBODY))
    return min(roles)


def _derived(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _CONFIRMATION, "sha256")
