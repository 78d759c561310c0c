"""The pool of connections of a component that answers requests: every wait is bounded."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from celerytrail.sql.connection import TCP_BOUNDS, parse_dsn

Connection = psycopg.Connection[TupleRow]


def server_pool(
    dsn: str,
    *,
    component: str,
    min_size: int,
    max_size: int,
    timeout_seconds: float,
    configure: Callable[[Connection], None] | None = None,
) -> ConnectionPool[Connection]:
    """Return a pool that connects, in the background, once it is opened.

    ``timeout_seconds`` bounds each wait: for a connection and for a lock; twice that a statement
    and a network that swallows packets, four times an idle transaction. What the DSN says itself
    about the network wins. ``component`` is what Postgres shows of it in ``application_name``, and
    ``configure`` is called with each new connection. Raises DatabaseUnreachable for a DSN that is
    none.
    """
    milliseconds = max(1, int(timeout_seconds * 1000))
    parameters = parse_dsn(dsn)
    parameters.setdefault("connect_timeout", max(2, int(timeout_seconds)))
    # The server's limits end nothing when its answer never arrives.
    parameters.setdefault("tcp_user_timeout", 2 * milliseconds)
    for name, value in TCP_BOUNDS.items():
        parameters.setdefault(name, value)
    parameters["client_encoding"] = "UTF8"
    parameters["application_name"] = f"celerytrail {component}"
    parameters["options"] = (
        f"{parameters.get('options') or ''} -c lock_timeout={milliseconds}"
        f" -c statement_timeout={2 * milliseconds}"
        f" -c idle_in_transaction_session_timeout={4 * milliseconds}"
        " -c default_transaction_isolation=read\\ committed"
        # Off, the seal's literals cannot be read, which looks as if rows could never be stored.
        " -c standard_conforming_strings=on"
        # Temporary tables have no statistics: what the planner takes for much work is a few
        # thousand rows, and compiling a statement for them takes ten times as long as running it.
        " -c jit=off"
    ).strip()
    return ConnectionPool(
        "",
        kwargs=parameters,
        min_size=min_size,
        max_size=max_size,
        timeout=timeout_seconds,
        reconnect_timeout=timeout_seconds,
        configure=configure,
        open=False,
        name=f"celerytrail-{component}",
    )
