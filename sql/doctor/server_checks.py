"""Checks of the server and of what sessions begin with: versions, encodings, clock, durability."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from celerytrail.sql.doctor.finding import Connection, Finding, fail, ok, warn
from celerytrail.sql.migrate import MINIMUM_SERVER_VERSION
from celerytrail.sql.named_queries import queries

NEWEST_TESTED_MAJOR = 18
"""The newest major version whose hashes the tests of this version compare byte for byte."""

CLOCK_WARN_SECONDS = 2.0
CLOCK_FAIL_SECONDS = 60.0
_CLOCKS = (
    "let both hosts follow a time server; until then start no new chain, and take no head file as"
    " newer than it is"
)


_AS_DESIGNED = {("celerytrail_grafana", "default_transaction_read_only")}


def server_version(connection: Connection) -> Iterator[Finding]:
    """Look whether the server's version is one whose hashes are known."""
    number, version, _, _ = _server(connection)
    if number < MINIMUM_SERVER_VERSION:
        yield fail(f"Postgres {version} is too old", "upgrade the server to Postgres 15 or newer")
    elif number // 10_000 > NEWEST_TESTED_MAJOR:
        yield warn(
            f"Postgres {version} is newer than what this version was tested on",
            "upgrade celerytrail, or compare with the worked example in docs/design/hash-chain.md",
        )
    else:
        yield ok(f"Postgres {version}")


def encoding(connection: Connection) -> Iterator[Finding]:
    """Look whether database and session speak UTF8, in which text is hashed."""
    _, _, database, client = _server(connection)
    if database != "UTF8":
        yield fail(
            f"the database has encoding {database}",
            "restore into one made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )
    if client != "UTF8":
        yield fail(
            f"the session got client_encoding {client} although UTF8 was asked for",
            "a pooler between drops the setting: let it pass client_encoding, every batch is refused",
        )
    if database == client == "UTF8":
        yield ok("database and session are UTF8")


def clock(connection: Connection) -> Iterator[Finding]:
    """Compare the database's clock with this host's: kept heads compare the two."""
    before = datetime.now(timezone.utc)
    row = connection.execute(queries("doctor")["clock"]).fetchone()
    after = datetime.now(timezone.utc)
    assert row is not None  # a SELECT without FROM has one row
    # As long as the answer took, nobody knows when the clock was read.
    ahead = max(0.0, (row[0] - after).total_seconds()) or min(
        0.0, (row[0] - before).total_seconds()
    )
    text = f"the database's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this host's"
    if abs(ahead) >= CLOCK_FAIL_SECONDS:
        yield fail(text, _CLOCKS)
    elif abs(ahead) >= CLOCK_WARN_SECONDS:
        yield warn(text, _CLOCKS)
    else:
        yield ok("the clocks of database and host agree")


def durability(connection: Connection) -> Iterator[Finding]:
    """Look whether what was acknowledged survives a crash of the server."""
    row = connection.execute(queries("doctor")["durability"]).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    fsync, full_page_writes, synchronous_commit = row
    for holds, name in ((fsync, "fsync"), (full_page_writes, "full_page_writes")):
        if not holds:
            yield fail(
                f"{name} is off: a crash may lose or damage what was acknowledged",
                f"set {name} = on in postgresql.conf and restart",
            )
    if not synchronous_commit:
        yield warn(
            "synchronous_commit is off: the sink sets it for its batches, actions may be lost in a crash",
            "remove the setting from server, database and role",
        )
    if all(row):
        yield ok("commits are durable")


def session_settings(connection: Connection) -> Iterator[Finding]:
    """Look for settings of a role or the database that change what our transactions mean."""
    wanted = {
        "default_transaction_isolation": "read committed",
        "client_encoding": "UTF8",
        "session_replication_role": "origin",
        "standard_conforming_strings": "on",
        "default_transaction_read_only": "off",
    }
    wrong = [
        (role, name, value)
        for role, name, value in connection.execute(queries("doctor")["role_settings"])
        if name in wanted
        and (role, name) not in _AS_DESIGNED
        and _plain(value) != wanted[name].lower()
    ]
    for role, name, value in wrong:
        yield warn(
            f"{role} begins with {name} = {value}",
            f"take it back with ALTER ROLE or ALTER DATABASE ... RESET {name}",
        )
    if not wrong:
        yield ok("no setting of a role changes isolation, encoding, literals or triggers")


def prepared_transactions(connection: Connection) -> Iterator[Finding]:
    """Look for prepared transactions: one that wrote a block holds the head of its chain."""
    rows = connection.execute(queries("doctor")["prepared"]).fetchall()
    highest = rows[0][0]
    waiting = [row[1:] for row in rows if row[1] is not None]
    for gid, owner, since in waiting:
        yield warn(
            f"transaction {gid!r} of {owner} was prepared at {since:%Y-%m-%d %H:%M:%S} and not ended",
            "COMMIT PREPARED or ROLLBACK PREPARED it: it may hold the head of a chain",
        )
    if highest > 0 and not waiting:
        yield warn(
            f"max_prepared_transactions is {highest}: one forgotten can hold the head of a chain",
            "set max_prepared_transactions = 0, unless something else in this server needs it",
        )
    if highest == 0:
        yield ok("no transaction can be prepared")


def _plain(value: str) -> str:
    """Return a setting in the form that it is compared in: Postgres takes true, yes and 1 for on."""
    text = value.strip("'\"").lower()
    return {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}.get(
        text, text
    )


def _server(connection: Connection) -> tuple[int, str, str, str]:
    row = connection.execute(queries("doctor")["server"]).fetchone()
    assert row is not None  # one is connected to a database that is there
    return row[0], row[1], row[2], row[3]
