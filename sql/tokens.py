"""Tokens: what a shipper shows to the sink or a script to the action API, and which deployment each one speaks for."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from celerytrail.sql.errors import TokenError
from celerytrail.sql.named_queries import queries

PREFIX = "ct_"
"""Lets secret scanners, and people, see what the string is: a token of the sink."""

API_PREFIX = "cta_"
"""The same for a token of the action API."""

SCOPES = ("retry", "cancel", "terminate", "purge", "retry-chord")
"""What a token of the action API can be made for: the names of its verbs."""

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made; ``token`` itself is nowhere kept and cannot be shown again."""

    token: str
    token_id: str
    name: str
    namespace: str
    service: str
    environment: str
    created_at: datetime
    expires_at: datetime | None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedToken:
    """What the database knows of a token.

    ``used_for`` is sink or actions, ``state`` valid, revoked, expired or disabled; ``scopes`` are
    the verbs of a token of the action API.
    """

    used_for: str
    token_id: str
    name: str
    namespace: str
    service: str
    environment: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    state: str
    scopes: list[str]


def token_hash(token: str) -> bytes:
    """Return what the database keeps of a token: its SHA-256, 32 bytes."""
    return hashlib.sha256(token.encode()).digest()


def create_token(
    connection: Connection,
    *,
    name: str,
    service: str,
    namespace: str = "",
    environment: str = "",
    expires_in_days: int | None = None,
) -> NewToken:
    """Make a token for the principal of this name, and the principal where it is new.

    A principal belongs to one deployment for ever. Raises TokenError when the name is that of
    another deployment, or empty.
    """
    if not name or not service:
        raise TokenError("a token needs a name and a service")
    statements = queries("tokens")
    values = {
        "name": name,
        "namespace": namespace,
        "service": service,
        "environment": environment,
    }
    with connection.transaction():
        connection.execute(statements["add_principal"], values)
        principal = connection.execute(statements["principal"], values).fetchone()
        assert principal is not None  # it was there or has just been added
        if principal[1:] != (namespace, service, environment):
            raise TokenError(_of_another("principal", name, principal[1:]))
        token = PREFIX + secrets.token_urlsafe(32)
        digest = token_hash(token)
        made = connection.execute(
            statements["add_token"],
            {
                "token_hash": digest,
                "principal_id": principal[0],
                "expires_in_days": expires_in_days,
            },
        ).fetchone()
        assert made is not None  # INSERT .. RETURNING of one row
    return NewToken(token, digest[:6].hex(), name, namespace, service, environment, *made)


def create_api_token(
    connection: Connection,
    *,
    name: str,
    service: str,
    scopes: Sequence[str],
    expires_in_days: int,
    namespace: str = "",
    environment: str = "",
) -> NewToken:
    """Make a token of the action API for one deployment, for the verbs of ``scopes`` and a time.

    The ledger says ``token:<name>`` of what it does, so a name belongs to one deployment. Raises
    TokenError when it is that of another, or something is empty or unknown.
    """
    if not name or not service or not scopes:
        raise TokenError("a token of the action API needs a name, a service and a scope")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise TokenError(f"no such scope: {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    statements = queries("tokens")
    token = API_PREFIX + secrets.token_urlsafe(32)
    digest = token_hash(token)
    kept = tuple(scope for scope in SCOPES if scope in scopes)
    values = {
        "token_hash": digest,
        "name": name,
        "namespace": namespace,
        "service": service,
        "environment": environment,
        "scopes": list(kept),
        "expires_in_days": expires_in_days,
    }
    with connection.transaction():
        connection.execute(statements["lock_api_tokens"])
        known = connection.execute(statements["api_token_deployment"], values).fetchone()
        if known is not None and known != (namespace, service, environment):
            raise TokenError(_of_another("tokens", name, known))
        made = connection.execute(statements["add_api_token"], values).fetchone()
        assert made is not None  # INSERT .. RETURNING of one row
    created_at, expires_at = made
    return NewToken(
        token, digest[:6].hex(), name, namespace, service, environment, created_at, expires_at, kept
    )


def list_tokens(connection: Connection) -> list[ListedToken]:
    """Return every token that was ever made, those of the sink first, by name and age."""
    return [ListedToken(*row) for row in connection.execute(queries("tokens")["tokens"])]


def revoke_tokens(connection: Connection, which: str) -> list[str]:
    """Revoke a token by its id, or all of a name; return the ids.

    It holds for the next batch of a sink, and the next request to the action API. Raises TokenError
    when there is no such valid token.
    """
    statements = queries("tokens")
    with connection.transaction():
        rows = [
            row
            for name in ("revoke", "revoke_api")
            for row in connection.execute(statements[name], {"which": which})
        ]
    if not rows:
        raise TokenError(f"no token that is not revoked yet has the id or the name {which!r}")
    return [row[0] for row in rows]


def _of_another(what: str, name: str, deployment: Sequence[str]) -> str:
    namespace, service, environment = deployment
    return (
        f"the {what} {name!r} belongs to namespace {namespace!r}, service {service!r}, "
        f"environment {environment!r}: choose another --name"
    )
