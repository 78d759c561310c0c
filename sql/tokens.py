"""Tokens: what a shipper shows to the sink, and which deployment each one speaks for."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from celerytrail.sql.errors import TokenError
from celerytrail.sql.named_queries import queries

PREFIX = "ct_"
"""Lets secret scanners, and people, see what the string is."""

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


@dataclass(frozen=True, slots=True)
class ListedToken:
    """What the database knows of a token; ``state`` is valid, revoked, expired or disabled."""

    token_id: str
    name: str
    namespace: str
    service: str
    environment: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    state: str


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
            raise TokenError(
                f"the principal {name!r} belongs to namespace {principal[1]!r}, service "
                f"{principal[2]!r}, environment {principal[3]!r}: choose another --name"
            )
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


def list_tokens(connection: Connection) -> list[ListedToken]:
    """Return every token that was ever made, by name and age."""
    return [ListedToken(*row) for row in connection.execute(queries("tokens")["tokens"])]


def revoke_tokens(connection: Connection, which: str) -> list[str]:
    """Revoke a token by its id, or all of a principal by its name; return the ids.

    It holds for the next batch of a sink. Raises TokenError when there is no such valid token.
    """
    rows = connection.execute(queries("tokens")["revoke"], {"which": which}).fetchall()
    if not rows:
        raise TokenError(f"no token that is not revoked yet has the id or the name {which!r}")
    return [row[0] for row in rows]
