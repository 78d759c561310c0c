"""The way from the action API to a message: the newest of one task, bound and checked."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from celerytrail.exporter.commitment import commit
from celerytrail.exporter.deployment import Deployment
from tests.span_rows import NOON, SHOP, STREAM, Row, nanoseconds, payload_row, span_row

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

MINUTE = timedelta(minutes=1)


def message(
    seq: int, task_id: str = "t", step: str = "sent", *, attempt: int = 0, **columns: Any
) -> tuple[Row, Row]:
    """A span that commits to a body, and the body's payload row."""
    at = NOON + attempt * MINUTE
    body = f"sealed body {seq}".encode()
    salt = hashlib.sha256(body).digest()
    commitment = commit("body", salt, body)
    given: dict[str, Any] = {
        "at": at,
        "task_id": task_id,
        "retries": attempt,
        "sent_unix_nano": nanoseconds(at),
        "commitments": json.dumps({"args": "aa" * 32, "body": commitment.hex()}),
    }
    span = span_row(seq, step, **given | columns)
    kept = {"salt": salt, "commitment": commitment, "seq": seq, "retries": attempt}
    return span, payload_row(task_id, "body", body, at=columns.get("at", at), **kept)


def write(database: MigratedDatabase, ledger: Ledger, *messages: tuple[Row, Row]) -> None:
    ledger.write_payloads(database.token, [payload for _, payload in messages])
    ledger.write_spans(database.token, [span for span, _ in messages])


def found(database: MigratedDatabase, task_id: str = "t", deployment: Deployment = SHOP) -> Any:
    with (
        database.connect("actions") as connection,
        connection.cursor(row_factory=namedtuple_row) as cursor,
    ):
        cursor.execute(
            "SELECT * FROM celerytrail.message_for_retry(%s, %s, %s, %s)",
            [deployment.namespace, deployment.service, deployment.environment, task_id],
        )
        return cursor.fetchone()


def tamper(database: MigratedDatabase, table: str, statement: str) -> None:
    """Change a row as a superuser whom no trigger stops."""
    with database.connect(autocommit=False) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'celerytrail'::regnamespace"
            " AND c.relkind IN ('r', 'p') AND c.relname ~ ('^' || %s || '(_[0-9a-z]+)?$')",
            [table],
        ).fetchall()
        for (name,) in tables:
            connection.execute(f"ALTER TABLE ONLY {name} DISABLE TRIGGER USER".encode())
        connection.execute(statement.encode())
        connection.commit()


def test_the_newest_send_that_has_a_body_is_found(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, message(1), message(2, "other"), message(3, attempt=1))
    withheld = json.dumps({"celerytrail.body.withheld": "too_large"})
    ledger.write_spans(
        migrated.token,
        [
            message(4, attempt=2, commitments=None, attributes=withheld)[0],
            # Of a message with a trail, the reception has none.
            message(5, step="received", attempt=1, commitments=None)[0],
        ],
    )
    row = found(migrated)
    assert (row.body, row.retries, row.stream_id, row.seq) == (b"sealed body 3", 1, STREAM, 3)
    assert row.commitment == row.span_commitment == commit("body", row.salt, row.body)
    assert (row.payload_namespace, row.payload_service, row.payload_environment) == (
        SHOP.namespace,
        SHOP.service,
        SHOP.environment,
    )
    assert row.payload_task_id == "t"
    assert (row.chain, row.n, row.block_fault, row.withheld, row.verification) == (0, 1, None, None, None)  # fmt: skip
    assert migrated.rows("SELECT event_id, batch_id FROM celerytrail.spans WHERE seq = 3") == [
        (row.event_id, row.batch_id)
    ]
    assert found(migrated, "other").body == b"sealed body 2"


def test_a_message_without_a_trail_is_that_of_its_reception(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(
        migrated,
        ledger,
        message(1, step="received", sent_unix_nano=0),
        message(2, step="received", attempt=1, sent_unix_nano=1),
    )
    assert found(migrated).seq == 2


def test_what_is_not_there_is_said(migrated: MigratedDatabase, ledger: Ledger) -> None:
    withheld = json.dumps({"celerytrail.body.withheld": "redacted"})
    ledger.write_spans(
        migrated.token,
        [
            message(1, commitments=None, attributes=withheld)[0],
            message(2, "erased")[0],
            message(3, "started", "started")[0],
        ],
    )
    row = found(migrated)
    assert (row.body, row.withheld, row.span_commitment, row.block_fault) == (None, "redacted", None, None)  # fmt: skip
    row = found(migrated, "erased")
    assert (row.body, row.withheld) == (None, None)
    assert len(row.span_commitment) == 32
    assert found(migrated, "started") is None
    assert found(migrated, "unknown") is None


def test_only_the_body_of_that_task_of_that_deployment_is_given(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, message(1))
    for other in (
        Deployment("acme", "bank", "test"),
        Deployment("acme", "shop", "live"),
        Deployment("", "shop", "test"),
    ):
        assert found(migrated, deployment=other) is None
    # Somebody with all rights names another kind of payload as the body, or another task's.
    tamper(migrated, "payloads", "UPDATE celerytrail.payloads SET kind = 'args'")
    assert found(migrated).body is None
    tamper(migrated, "payloads", "UPDATE celerytrail.payloads SET kind = 'body', task_id = 'x'")
    assert found(migrated).body is None


def test_a_body_that_was_changed_is_found_at_once(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, message(1))
    flip = "UPDATE celerytrail.payloads SET body = set_bit(body, 9, 1 - get_bit(body, 9))"
    tamper(migrated, "payloads", flip)
    assert found(migrated).block_fault == "payload altered"
    tamper(migrated, "payloads", flip)
    assert found(migrated).block_fault is None


@pytest.mark.parametrize(
    ("table", "statement", "fault"),
    [
        ("spans", "UPDATE celerytrail.spans SET retries = 7 WHERE seq = 1", "row altered"),
        ("spans", "UPDATE celerytrail.spans SET task_id = 't', commitments = (SELECT s.commitments FROM celerytrail.spans s WHERE s.seq = 2), sent_unix_nano = 1 + sent_unix_nano WHERE seq = 2", "row altered"),
        ("spans", "UPDATE celerytrail.spans SET queue = 'elsewhere' WHERE seq = 2", "row altered"),
        ("spans", "DELETE FROM celerytrail.spans WHERE seq = 2", "1 rows of 2"),
        ("spans", "UPDATE celerytrail.spans SET batch_id = 99 WHERE seq = 1", "block missing"),
        ("blocks", "UPDATE celerytrail.blocks SET sealed_by = 'me'", "link altered"),
        ("blocks", "UPDATE celerytrail.blocks SET body_hash = sha256('x')", "block altered"),
        ("blocks", "UPDATE celerytrail.blocks SET cnt = cnt + 1", "block altered"),
        ("blocks", "UPDATE celerytrail.blocks SET kind = 2", "unknown format or kind of block"),
        ("chain", "UPDATE celerytrail.chain SET hash = sha256('x') WHERE n = 1", "link altered"),
        ("chain", "UPDATE celerytrail.chain SET prev = sha256('x') WHERE n = 2", "what follows the link does not follow from it"),
        ("chain", "DELETE FROM celerytrail.chain WHERE n = 1", "link missing"),
        ("chain_head", "UPDATE celerytrail.chain_head SET hash = sha256('x')", None),
    ],
)  # fmt: skip
def test_a_block_that_was_changed_is_found_at_once(
    migrated: MigratedDatabase, ledger: Ledger, table: str, statement: str, fault: str | None
) -> None:
    write(migrated, ledger, message(1), message(2, "other"))
    write(migrated, ledger, message(3, "later"))
    assert found(migrated).block_fault is None
    tamper(migrated, table, statement)
    assert found(migrated).block_fault == fault


def test_the_last_block_is_held_against_the_head(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, message(1))
    tamper(migrated, "chain_head", "UPDATE celerytrail.chain_head SET hash = sha256('x')")
    assert found(migrated).block_fault == "what follows the link does not follow from it"


def test_a_span_that_was_put_there_is_found_at_once(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """A newer send of the same task, beside the honest ones of its batch or in one of its own."""
    write(migrated, ledger, message(1))
    columns = migrated.value(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attnum > 0"
        " AND attrelid = 'celerytrail.spans'::regclass AND attname NOT IN"
        " ('event_id', 'sent_unix_nano', 'batch_id')"
    )
    for batch, fault in (("batch_id", "2 rows of 1"), ("batch_id + 1000", "block missing")):
        tamper(
            migrated,
            "spans",
            f"INSERT INTO celerytrail.spans (event_id, sent_unix_nano, batch_id, {columns})"
            f" SELECT '{uuid.uuid4()}', sent_unix_nano + 1, {batch}, {columns}"
            " FROM celerytrail.spans ORDER BY sent_unix_nano DESC LIMIT 1",
        )
        assert found(migrated).block_fault == fault


def test_the_last_verification_of_the_chain_is_told(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    write(migrated, ledger, message(1))
    record = "SELECT celerytrail.record_verification('full', {}, 0, 1, sha256('h'), '{}', NULL, 1, 0.1, true)"
    with migrated.connect("verifier") as verifier:
        for chain, status in ((0, "broken"), (0, "ok"), (1, "broken")):
            verifier.execute(record.format(chain, status).encode())
    assert found(migrated).verification == "ok"


def test_a_client_in_latin1_is_refused(migrated: MigratedDatabase) -> None:
    with migrated.connect("actions") as connection:
        connection.execute("SET client_encoding = 'LATIN1'")
        with pytest.raises(psycopg.DatabaseError, match="client_encoding"):
            connection.execute("SELECT celerytrail.message_for_retry('a', 'b', 'c', 'd')")


def test_a_message_around_midnight_is_found(migrated: MigratedDatabase, ledger: Ledger) -> None:
    yesterday = NOON - timedelta(days=1)
    span, _ = message(1)
    _, payload = message(1, at=yesterday)
    write(migrated, ledger, (span, payload))
    assert found(migrated).body == b"sealed body 1"
