"""Opens a connection to Postgres whose failures can be shown to anybody."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict

from celerytrail.sql.errors import DatabaseUnreachable

DEFAULT_CONNECT_TIMEOUT_SECONDS = 10

TCP_BOUNDS = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq's parameters for a long-lived connection: a network that swallows packets looks like a slow
server, and half a minute is long enough. Seconds, but ``tcp_user_timeout`` is in milliseconds."""


def connect(
    dsn: str,
    *,
    application_name: str,
    autocommit: bool = False,
    connect_timeout_seconds: int = DEFAULT_CONNECT_TIMEOUT_SECONDS,
    lock_timeout_seconds: float | None = None,
) -> psycopg.Connection:
    """Open a connection in UTF8.

    ``dsn`` is a libpq connection string or URI. Its ``connect_timeout`` and TCP parameters win over
    ours. Raises DatabaseUnreachable with a message that names host, port, database and user, and no
    password.
    """
    parameters = {**TCP_BOUNDS, **parse_dsn(dsn)}
    parameters.setdefault("connect_timeout", connect_timeout_seconds)
    parameters["application_name"] = application_name
    parameters["client_encoding"] = "UTF8"
    if lock_timeout_seconds is not None:
        timeout = f"-c lock_timeout={max(1, int(lock_timeout_seconds * 1000))}"
        parameters["options"] = f"{parameters.get('options') or ''} {timeout}".strip()
    try:
        return psycopg.connect(
            "",
            autocommit=autocommit,
            **parameters,  # type: ignore[arg-type]
        )
    except psycopg.Error as exc:
        raise DatabaseUnreachable(
            f"cannot connect to {describe_dsn(dsn)}: {str(exc).strip()}. "
            "Check the DSN (--dsn or CELERYTRAIL_DSN) and that the server runs."
        ) from exc


def parse_dsn(dsn: str) -> dict[str, str | int | None]:
    """Return the parameters of a connection string.

    Raises DatabaseUnreachable without quoting the string, because a part of a password that was
    not percent-encoded can end up anywhere in what libpq says about it.
    """
    problem = "is empty"
    if dsn.strip():
        problem = "is not a Postgres connection string"
        authority = dsn.partition("://")[2].partition("?")[0]
        if authority.count("@") > 1:
            problem = "has more than one @: percent-encode user and password"
        else:
            try:
                parameters = conninfo_to_dict(dsn)
                if all(port.isdigit() for port in str(parameters.get("port") or "0").split(",")):
                    return dict(parameters)
                problem = "has a port that is not a number: percent-encode user and password"
            except psycopg.Error:
                pass
    raise DatabaseUnreachable(
        f"the DSN {problem}; it looks like postgresql://user:password@host:5432/database"
    )


def describe_dsn(dsn: str) -> str:
    """Return ``user@host:port/database`` of a connection string, without any secret."""
    parameters = parse_dsn(dsn)
    user = parameters.get("user") or "(default user)"
    host = parameters.get("host") or parameters.get("hostaddr") or "(local socket)"
    port = parameters.get("port") or "5432"
    return f"{user}@{host}:{port}/{parameters.get('dbname') or '(default)'}"
