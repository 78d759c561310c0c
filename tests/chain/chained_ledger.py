"""A ledger with a few blocks in it, and what somebody with all rights can do to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.verify import Verification, verify_ledger
from tests.span_rows import NOON, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

TABLES = ("spans", "leaf_groups", "blocks", "chain", "chain_head", "actions")
TODAY = NOON.date().isoformat()

TRIGGERS_OFF = """
SET LOCAL session_replication_role = replica;
CREATE TEMP TABLE triggers ON COMMIT DROP AS
SELECT t.tgrelid::regclass AS relation, t.tgname, t.tgenabled
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = 'celerytrail'::regnamespace;
DO $$ DECLARE one record; BEGIN
FOR one IN SELECT * FROM triggers LOOP
    EXECUTE format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', one.relation, one.tgname);
END LOOP; END $$;
"""
TRIGGERS_BACK = """
DO $$ DECLARE one record; BEGIN
FOR one IN SELECT t.* FROM triggers t JOIN pg_class c ON c.oid = t.relation LOOP
    EXECUTE format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', one.relation,
        CASE one.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, one.tgname);
END LOOP; END $$;
"""


@dataclass(frozen=True)
class ChainedLedger:
    """A migrated database whose chain has six blocks: 1 to 4 and 6 of spans, 5 of an action."""

    database: MigratedDatabase
    action_id: str

    def verify(self, **options: object) -> Verification:
        """Verify as the verifier's role, both ways, and check that they agree word for word."""
        result = verify_ledger(self.database.dsn("verifier"), **options)  # type: ignore[arg-type]
        inside, outside = result.readings
        assert inside.bad == outside.bad
        assert inside.heads == outside.heads
        assert inside.dropped == outside.dropped
        return result

    def row(self, n: int, position: int) -> str:
        """The id of a row, by its block and its place among the rows of that block."""
        (found,) = self.database.rows(
            "SELECT s.event_id::text FROM celerytrail.spans s JOIN celerytrail.chain c"
            " USING (batch_id) WHERE c.n = %s AND c.chain = 0"
            " ORDER BY s.event_id OFFSET %s LIMIT 1",
            n,
            position - 1,
        )
        return str(found[0])

    def tamper(self, statements: str) -> None:
        """Run statements as a superuser while no trigger of the ledger fires."""
        with self.database.connect(autocommit=False) as connection:
            connection.execute(TRIGGERS_OFF)
            for statement in statements.split(";;"):
                connection.execute(statement.encode())
            connection.execute(TRIGGERS_BACK)

    @contextmanager
    def restored_afterwards(self) -> Iterator[None]:
        """Put every row of the ledger back as it was."""
        saved = {}
        with self.database.connect() as connection, connection.cursor() as cursor:
            for table in TABLES:
                query = f"COPY (SELECT * FROM celerytrail.{table}) TO STDOUT (FORMAT BINARY)"
                with cursor.copy(query.encode()) as copy:
                    saved[table] = b"".join(bytes(data) for data in copy)
        try:
            yield
        finally:
            self._restore(saved)

    def _restore(self, saved: dict[str, bytes]) -> None:
        with self.database.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE celerytrail_owner")
            for parent in ("spans", "leaf_groups"):
                day = TODAY.replace("-", "")
                cursor.execute("SELECT to_regclass(%s)", [f"celerytrail.{parent}_{day}"])
                if cursor.fetchone() == (None,):
                    partition = [parent, day, TODAY]
                    cursor.execute("SELECT celerytrail.create_partition(%s, %s, %s)", partition)
            cursor.execute("RESET ROLE")
            cursor.execute(TRIGGERS_OFF)
            for table, data in saved.items():
                cursor.execute(f"DELETE FROM celerytrail.{table}".encode())
                query = f"COPY celerytrail.{table} FROM STDIN (FORMAT BINARY)"
                with cursor.copy(query.encode()) as copy:
                    copy.write(data)
            cursor.execute(TRIGGERS_BACK)


def with_options(dsn: str, **settings: str) -> str:
    """The address with settings that a session starts with."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return f"{dsn}&options={quote(options)}"


def write_batch(ledger: Ledger, database: MigratedDatabase, first_seq: int) -> None:
    attributes = json.dumps({"celery.stamps": {"order": {"items": [1, 2, 3]}}, "zoë": "é"})
    written = ledger.write_spans(database.token, task_rows(first_seq, attributes=attributes))
    assert written.inserted == 4


def append_action(database: MigratedDatabase, verb: str = "retry", **columns: str) -> str:
    action_id = str(uuid.uuid4())
    given = {"action_id": action_id, "phase": "intent", "verb": verb, "actor": "ann"}
    given |= {"actor_kind": "user", **columns}
    names = ", ".join(f"{name} => %s" for name in given)
    with database.connect() as connection:
        connection.execute(f"SELECT celerytrail.append_action({names})".encode(), [*given.values()])
    return action_id


def chain_of_six(database: MigratedDatabase, ledger: Ledger) -> ChainedLedger:
    """Write four blocks of spans, one of an action, one of spans."""
    for first_seq in (1, 5, 9, 13):
        write_batch(ledger, database, first_seq)
    action_id = append_action(database, target='{"task_id": "t-1"}')
    write_batch(ledger, database, 17)
    assert database.value("SELECT n FROM celerytrail.chain_head WHERE chain = 0") == 6
    return ChainedLedger(database, action_id)
