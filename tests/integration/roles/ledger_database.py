"""A migrated database, and each of its roles logging in by itself."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SPAN_COLUMNS
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.database_verifier import verify_inside
from celerytrail.sql.outside_verifier import verify_outside

SHOP = ("shop", "orders", "test")
BANK = ("bank", "transfers", "test")


@dataclass(frozen=True)
class LedgerDatabase:
    """One migrated database of the test server."""

    server: EmbeddedPostgres
    name: str

    def dsn(self, role: str = "postgres") -> str:
        user = role if role == "postgres" else f"celerytrail_{role}"
        return self.server.dsn(self.name, user=user)

    @contextmanager
    def connect(self, role: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.dsn(role), autocommit=True) as connection:
            yield connection

    def one(self, query: str, *parameters: object) -> Any:
        """Run a query as the superuser and return the first column of its first row."""
        with self.connect() as connection:
            row = connection.execute(query.encode(), parameters or None).fetchone()
        assert row is not None
        return row[0]

    def run(self, statement: str) -> None:
        """Run statements as the superuser."""
        with self.connect() as connection:
            connection.execute(statement.encode())

    def not_refused(self, role: str, statements: Sequence[str]) -> list[str]:
        """Return those of the statements that the role may execute; nothing of them is kept.

        Refused is a lack of privilege. Anything else, a mistake in the statement too, is returned
        with what happened, so that no attack passes because it was written wrongly.
        """
        done = []
        for statement in statements:
            with self.connect(role) as connection:
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(statement.encode())
                except (psycopg.errors.InsufficientPrivilege, psycopg.errors.WrongObjectType):
                    continue
                except psycopg.Error as error:
                    done.append(f"{statement}: {error}")
                else:
                    done.append(statement)
        return done

    def token(self, deployment: tuple[str, str, str] = SHOP) -> bytes:
        """Make a principal with a token, and return the token's SHA-256."""
        token_hash = hashlib.sha256(secrets.token_bytes(32)).digest()
        with self.connect() as connection:
            connection.execute(
                "WITH p AS (INSERT INTO celerytrail.principals (name, namespace, service, environment)"
                " VALUES (%s, %s, %s, %s) RETURNING principal_id)"
                " INSERT INTO celerytrail.tokens (token_hash, principal_id)"
                " SELECT %s, principal_id FROM p",
                (uuid.uuid4().hex, *deployment, token_hash),
            )
        return token_hash

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        ledger = Ledger(self.dsn("sink"), max_size=2, timeout_seconds=10)
        ledger.open()
        try:
            yield ledger
        finally:
            ledger.close()

    @contextmanager
    def sink_session(self, token_hash: bytes) -> Iterator[psycopg.Connection[Any]]:
        """A session of the sink's role that speaks for a token's principal."""
        with self.connect("sink") as connection:
            connection.execute("SELECT celerytrail.authenticate(%s)", (token_hash,))
            yield connection

    def write_honest_batches(self, token_hash: bytes, batches: int = 3, size: int = 4) -> None:
        """Let an honest sink write new batches, each of which must be stored."""
        with self.ledger() as ledger:
            for _ in range(batches):
                written = ledger.write_spans(token_hash, span_rows(size))
                assert (written.inserted, written.refused) == (size, 0)

    def assert_clean(self) -> None:
        """Both verifiers find nothing wrong."""
        assert verify_outside(self.dsn("verifier")).bad == ()
        assert verify_inside(self.dsn("verifier")).bad == ()


def span(seq: int = 1, **chosen: object) -> dict[str, Any]:
    """The columns of one span that a sink would send, some of them chosen by the test."""
    now = datetime.now(timezone.utc)
    nanoseconds = int(now.timestamp() * 1_000_000) * 1_000
    task_id = f"task-{seq}"
    values: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "event_time": now,
        "day": now.date(),
        "namespace": SHOP[0],
        "service": SHOP[1],
        "environment": SHOP[2],
        "stream_id": uuid.uuid4(),
        "seq": seq,
        "step": "sent",
        "inferred": False,
        "trace_id": secrets.token_bytes(16),
        "span_id": secrets.token_bytes(8),
        "span_name": "send orders",
        "span_kind": 4,
        "status_code": 0,
        "start_unix_nano": nanoseconds,
        "end_unix_nano": nanoseconds,
        "process_kind": "publisher",
        "worker": "publisher@host-1",
        "host": "host-1",
        "pid": 4242,
        "task_id": task_id,
        "task_name": "shop.pay",
        "retries": 0,
        "queue": "orders",
        "root_id": task_id,
        "send_id": secrets.token_bytes(8),
        "sent_unix_nano": nanoseconds,
        "attributes": "{}",
    }
    unknown = chosen.keys() - {column.name for column in SPAN_COLUMNS}
    assert not unknown, unknown
    return {**values, **chosen}


def span_rows(count: int) -> list[tuple[Any, ...]]:
    """New spans of one new stream, in the order that the sink's writer takes them."""
    stream = uuid.uuid4()
    return [in_order(span(seq, stream_id=stream)) for seq in range(1, count + 1)]


def in_order(values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(values.get(column.name) for column in SPAN_COLUMNS)


def insert_span(
    connection: psycopg.Connection[Any],
    values: dict[str, Any],
    *,
    table: str = "celerytrail.spans",
    tail: str = "",
) -> int:
    """INSERT one row by the columns given, as somebody would who holds the role's password."""
    marks = ", ".join(["%s"] * len(values))
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks}) {tail}"
    return connection.execute(statement.encode(), list(values.values())).rowcount


def payload(task_id: str, kind: str = "args", **chosen: object) -> dict[str, Any]:
    """The columns of one payload item, committed to as the shipper would."""
    now = datetime.now(timezone.utc)
    salt, body = secrets.token_bytes(32), json.dumps([task_id]).encode()
    values: dict[str, Any] = {
        "event_time": now,
        "day": now.date(),
        "namespace": SHOP[0],
        "service": SHOP[1],
        "environment": SHOP[2],
        "task_id": task_id,
        "retries": 0,
        "stream_id": uuid.uuid4(),
        "seq": 1,
        "kind": kind,
        "commitment": hashlib.sha256(salt + body).digest(),
        "salt": salt,
        "truncated": False,
        "body": body,
    }
    return {**values, **chosen}


def payload_in_order(values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(values.get(column.name) for column in PAYLOAD_COLUMNS)


def committing(values: dict[str, Any], *items: dict[str, Any]) -> dict[str, Any]:
    """The span with the commitments to these payload items."""
    named = {str(item["kind"]): bytes(item["commitment"]).hex() for item in items}
    return {**values, "commitments": json.dumps(named)}


def today() -> date:
    return datetime.now(timezone.utc).date()
