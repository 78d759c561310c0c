"""Not even the owner changes what is written by accident, and forgers meet the triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.exporter.sink.written import Written
from celerytrail.sql.outside_verifier import verify_outside
from tests.span_rows import INDEX, span_row, task_rows

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

COLUMNS = ", ".join(INDEX)
MARKS = ", ".join(["%s"] * len(INDEX))
INSERT = f"INSERT INTO celerytrail.spans ({COLUMNS}) VALUES ({MARKS})".encode()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE celerytrail.spans SET queue = 'x'",
        "DELETE FROM celerytrail.spans",
        "TRUNCATE celerytrail.spans",
        "UPDATE {day} SET queue = 'x'",
        "DELETE FROM {day}",
        "TRUNCATE {day}",
        "UPDATE celerytrail.blocks SET cnt = 1",
        "DELETE FROM celerytrail.chain",
        "TRUNCATE celerytrail.chain_head CASCADE",
        "DELETE FROM celerytrail.chain_head",
        "DELETE FROM celerytrail.leaf_groups",
        "UPDATE celerytrail.ledger SET ledger_id = gen_random_uuid()",
        "SET session_replication_role = replica; UPDATE celerytrail.spans SET queue = 'x'",
        "SET session_replication_role = replica; DELETE FROM {day}",
    ],
)
def test_an_accident_is_refused(migrated: MigratedDatabase, ledger: Ledger, statement: str) -> None:
    ledger.write_spans(migrated.token, task_rows())
    day = migrated.value("SELECT tableoid::regclass::text FROM celerytrail.spans LIMIT 1")
    with (
        migrated.connect() as connection,
        pytest.raises(psycopg.DatabaseError, match="is forbidden"),
    ):
        connection.execute(statement.format(day=day).encode())


def test_the_chain_holds_under_replication_role(migrated: MigratedDatabase) -> None:
    with migrated.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        connection.execute(INSERT, span_row(1, "sent", task_id="t"))
    assert migrated.value("SELECT n FROM celerytrail.chain_head") == 1
    assert verify_outside(migrated.dsn("verifier")).bad == ()


def test_a_session_without_a_token_cannot_insert(migrated: MigratedDatabase) -> None:
    with migrated.connect("sink") as sink, pytest.raises(psycopg.DatabaseError, match="currval"):
        sink.execute(INSERT, span_row(1, "sent", task_id="t"))


def test_a_foreign_row_or_another_encoding_is_refused_by_the_database_itself(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    with migrated.connect("sink") as sink:
        sink.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        with pytest.raises(psycopg.DatabaseError, match="not of the deployment"):
            sink.execute(INSERT, span_row(1, "sent", service="bank"))
        sink.execute("SET client_encoding = 'LATIN1'")
        with pytest.raises(psycopg.DatabaseError, match="client_encoding must be UTF8"):
            sink.execute(INSERT, span_row(1, "sent"))
    assert ledger.write_spans(migrated.token, task_rows()) == Written(inserted=4)


def test_one_statement_is_one_block_however_it_is_written(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    with migrated.connect("sink", autocommit=False) as sink:
        sink.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        twice = (
            f"WITH a AS (INSERT INTO celerytrail.spans ({COLUMNS}) VALUES ({MARKS}))"
            f" INSERT INTO celerytrail.spans ({COLUMNS}) VALUES ({MARKS})"
        )
        sink.execute(twice.encode(), [*span_row(1, "sent"), *span_row(2, "sent")])
        with sink.transaction(force_rollback=True):
            sink.execute(INSERT, span_row(3, "sent"))
        sink.execute(INSERT, span_row(4, "sent"))
        sink.commit()
        sink.execute(INSERT, span_row(5, "sent"))
        sink.rollback()
    assert migrated.rows(
        "SELECT c.n, b.cnt FROM celerytrail.chain c JOIN celerytrail.blocks b USING (batch_id) ORDER BY 1"
    ) == [(1, 2), (2, 1)]
    assert verify_outside(migrated.dsn("verifier")).bad == ()
    assert ledger.write_spans(migrated.token, [span_row(6, "sent")]) == Written(inserted=1)


def test_partitions_outside_the_window_are_refused(migrated: MigratedDatabase) -> None:
    with migrated.connect("sink") as sink:
        for first, last in (("-33", "0"), ("0", "4"), ("3", "2"), ("2900000", "2900000")):
            with pytest.raises(psycopg.DatabaseError, match="outside the window"):
                sink.execute(
                    "SELECT celerytrail.ensure_partitions((now() AT TIME ZONE 'UTC')::date + %s::int,"
                    " (now() AT TIME ZONE 'UTC')::date + %s::int)",
                    [first, last],
                )
        with pytest.raises(psycopg.DatabaseError, match="outside the window"):
            sink.execute("SELECT celerytrail.ensure_partitions('-infinity', 'infinity')")
