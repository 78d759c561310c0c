"""A migrated database as somebody sees it who holds the password of one of its roles."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SPAN_COLUMNS
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.database_verifier import verify_inside
from celerytrail.sql.outside_verifier import verify_outside
from tests.span_rows import SHOP, payload_row, span_row

if TYPE_CHECKING:
    from celerytrail.examples.embedded.postgres import EmbeddedPostgres
    from tests.databases import MigratedDatabase

Connection = psycopg.Connection[tuple[Any, ...]]

BANK = Deployment("bank", "transfers", "test")


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """A database after `celerytrail migrate`, a token of the shop, and ways to attack it."""

    migrated: MigratedDatabase

    @property
    def server(self) -> EmbeddedPostgres:
        return self.migrated.server

    @property
    def name(self) -> str:
        return self.migrated.name

    @property
    def token(self) -> bytes:
        return self.migrated.token

    def dsn(self, role: str = "postgres") -> str:
        return self.migrated.dsn(role)

    def connect(self, role: str = "postgres") -> AbstractContextManager[Connection]:
        return self.migrated.connect(role)

    def value(self, query: str, *parameters: object) -> Any:
        return self.migrated.value(query, *parameters)

    def run(self, statements: str) -> None:
        self.migrated.run(statements)

    def new_token(self, deployment: Deployment = SHOP, name: str = "another") -> bytes:
        return self.migrated.new_token(deployment, name)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The sink's own writer."""
        ledger = Ledger(self.dsn("sink"), max_size=2, timeout_seconds=10)
        ledger.open()
        try:
            yield ledger
        finally:
            ledger.close()

    @contextmanager
    def sink_session(self) -> Iterator[Connection]:
        """A session of the sink's role that speaks for the shop."""
        with self.connect("sink") as connection:
            connection.execute("SELECT celerytrail.authenticate(%s)", (self.token,))
            yield connection

    def not_refused(self, role: str, statements: Sequence[str]) -> list[str]:
        """Return those of the statements that the role may execute; nothing of them is kept.

        Refused is a lack of privilege. Anything else, a mistake in the statement too, is returned
        with what happened, so that no attack passes because it was written wrongly.
        """
        done = []
        with self.connect(role) as connection:
            for statement in statements:
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

    def write_honest_batches(self, batches: int = 3, size: int = 4) -> None:
        """Let an honest sink write new batches, each of which must be stored."""
        with self.ledger() as ledger:
            for _ in range(batches):
                written = ledger.write_spans(self.token, span_rows(size))
                assert (written.inserted, written.refused) == (size, 0)

    def assert_clean(self) -> None:
        """Both verifiers find nothing wrong."""
        assert verify_outside(self.dsn("verifier")).bad == ()
        assert verify_inside(self.dsn("verifier")).bad == ()


def span(seq: int = 1, **chosen: Any) -> dict[str, Any]:
    """The columns of one span that a sink would send, some of them chosen by the test."""
    columns = {
        "at": datetime.now(timezone.utc),
        "stream": chosen.pop("stream_id", uuid.uuid4()),
        "task_id": f"task-{seq}",
        "task_name": "shop.pay",
        "queue": "orders",
    }
    row = span_row(seq, "sent", **{**columns, **chosen})
    named = zip((column.name for column in SPAN_COLUMNS), row, strict=True)
    return {name: value for name, value in named if value is not None}


def span_rows(count: int) -> list[tuple[Any, ...]]:
    """New spans of one new stream, in the order that the sink's writer takes them."""
    stream = uuid.uuid4()
    return [in_order(span(seq, stream_id=stream)) for seq in range(1, count + 1)]


def in_order(values: dict[str, Any]) -> tuple[Any, ...]:
    """The columns of a span as the sink's writer takes them."""
    return tuple(values.get(column.name) for column in SPAN_COLUMNS)


def insert_row(
    connection: Connection,
    values: dict[str, Any],
    *,
    table: str = "celerytrail.spans",
    tail: str = "",
) -> int:
    """INSERT one row by the columns given, as somebody would who holds the role's password."""
    statement, parameters = insert_statement(values, table)
    return connection.execute(f"{statement} {tail}".encode(), parameters).rowcount


def insert_statement(
    values: dict[str, Any], table: str = "celerytrail.spans"
) -> tuple[str, list[Any]]:
    """An INSERT of these columns and its parameters."""
    marks = ", ".join(["%s"] * len(values))
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())


def payload(task_id: str, kind: str = "args", **chosen: Any) -> dict[str, Any]:
    """The columns of one payload item, of a record and with a salt of its own."""
    body = chosen.pop("body", f'["{task_id}"]'.encode())
    columns = {
        "at": datetime.now(timezone.utc),
        "stream_id": uuid.uuid4(),
        "salt": uuid.uuid4().bytes * 2,
        "commitment": uuid.uuid4().bytes * 2,
    }
    row = payload_row(task_id, kind, body, **{**columns, **chosen})
    return dict(zip((column.name for column in PAYLOAD_COLUMNS), row, strict=True))


def payload_in_order(values: dict[str, Any]) -> tuple[Any, ...]:
    """The columns of a payload item as the sink's writer takes them."""
    return tuple(values.values())


def committing(values: dict[str, Any], *items: dict[str, Any]) -> dict[str, Any]:
    """The span with the commitments to these payload items."""
    named = ", ".join(f'"{item["kind"]}": "{item["commitment"].hex()}"' for item in items)
    return {**values, "commitments": f"{{{named}}}"}


def today() -> date:
    return datetime.now(timezone.utc).date()


__all__ = [
    "BANK",
    "SHOP",
    "Connection",
    "LedgerDatabase",
    "committing",
    "in_order",
    "insert_row",
    "insert_statement",
    "payload",
    "payload_in_order",
    "span",
    "span_rows",
    "today",
]
