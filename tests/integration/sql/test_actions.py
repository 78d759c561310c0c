"""Actions of operators: one function writes them, one chain orders them with the events."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.sql.outside_verifier import verify_outside
from tests.span_rows import span_row, task_rows

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

APPEND = (
    "SELECT celerytrail.append_action(action_id => %s, phase => %s, verb => %s, actor => %s,"
    " actor_kind => 'grafana', target => %s, intent_id => %s)"
)


def test_actions_and_events_are_ordered_by_one_chain(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    intent = uuid.uuid4()
    ledger.write_spans(migrated.token, task_rows())
    with migrated.connect("actions") as connection:
        connection.execute(APPEND, [intent, "intent", "purge", "ann", '{"queue":"é"}', None])
        ledger.write_spans(migrated.token, [span_row(5, "sent", task_id="t")])
        connection.execute(APPEND, [uuid.uuid4(), "outcome", "purge", "ann", None, intent])
    chain = migrated.rows(
        "SELECT c.n, b.kind, b.cnt FROM celerytrail.chain c JOIN celerytrail.blocks b USING (batch_id) ORDER BY n"
    )
    assert chain == [(1, 1, 4), (2, 2, 1), (3, 1, 1), (4, 2, 1)]
    assert migrated.rows(
        "SELECT phase, actor, recorded_by, target ->> 'queue' FROM celerytrail_views.actions ORDER BY action_time"
    ) == [
        ("intent", "ann", "celerytrail_actions", "é"),
        ("outcome", "ann", "celerytrail_actions", None),
    ]
    assert verify_outside(migrated.dsn("verifier")).bad == ()


def test_an_action_is_made_ahead_of_its_day(migrated: MigratedDatabase) -> None:
    day = migrated.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')")
    migrated.run(
        "; ".join(f"DROP TABLE celerytrail.{t}_{day}" for t in ("spans", "leaf_groups", "payloads"))
    )
    with migrated.connect("actions") as connection:
        connection.execute(APPEND, [uuid.uuid4(), "intent", "retry", "ann", None, None])
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 1


@pytest.mark.parametrize("role", ["sink", "grafana", "verifier"])
def test_nobody_else_writes_actions(migrated: MigratedDatabase, role: str) -> None:
    with migrated.connect(role) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(APPEND, [uuid.uuid4(), "intent", "purge", "ann", None, None])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "INSERT INTO celerytrail.actions (action_id, action_time, phase, verb, actor, actor_kind, recorded_by)"
                " VALUES (gen_random_uuid(), now(), 'intent', 'purge', 'ann', 'grafana', 'x')"
            )


def test_an_action_id_is_used_once_and_a_client_in_latin1_is_refused(
    migrated: MigratedDatabase,
) -> None:
    action = uuid.uuid4()
    with migrated.connect("actions") as connection:
        connection.execute(APPEND, [action, "intent", "purge", "ann", None, None])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(APPEND, [action, "outcome", "purge", "ann", None, None])
        connection.execute("SET client_encoding = 'LATIN1'")
        with pytest.raises(psycopg.DatabaseError, match="client_encoding"):
            connection.execute(APPEND, [uuid.uuid4(), "intent", "purge", "ann", None, None])
    assert migrated.value("SELECT n FROM celerytrail.chain_head") == 1
