"""What actions say of tasks: who did what, retried as what, purged; in any order, and after a rebuild."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celerytrail.exporter.attributes import REASON_KIND
from celerytrail.exporter.commitment import commit
from celerytrail.sql.outside_verifier import verify_outside
from celerytrail.sql.read_model import rebuild_read_model
from tests.integration.sql.intents import Intents
from tests.span_rows import NOON, STREAM, Row, nanoseconds, span_row, task_rows

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

SECOND = timedelta(seconds=1)
LATER = NOON + SECOND
TASKS = "SELECT t::text FROM celerytrail.tasks t ORDER BY 1"
TASK_ACTIONS = "SELECT t::text FROM celerytrail.task_actions t ORDER BY 1"
STATES = "SELECT task_id, state, finished_at IS NOT NULL, task_name FROM celerytrail_views.tasks ORDER BY 1"


@dataclass(frozen=True)
class Action:
    """One row of actions with a time and an id of its own, as if the clock had given them."""

    number: int
    phase: str
    verb: str
    at: datetime
    target: Any = None
    detail: Any = None

    def insert(self, database: MigratedDatabase) -> None:
        with database.connect() as connection:
            connection.execute(
                "INSERT INTO celerytrail.actions (action_id, intent_id, action_time, phase, verb,"
                " actor, actor_kind, namespace, service, environment, target, detail, recorded_by)"
                " VALUES (%s, %s, %s, %s, %s, 'ann', 'grafana', 'acme', 'shop', 'test', %s, %s, 'x')",
                [
                    uuid.uuid5(STREAM, f"action {self.number}"),
                    uuid.uuid5(STREAM, self.verb),
                    self.at,
                    self.phase,
                    self.verb,
                    *(None if it is None else json.dumps(it) for it in (self.target, self.detail)),
                ],
            )


def purged(task_id: str, sent: datetime | None) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "send_id": None if sent is None else "07" * 8,
        "sent_unix_nano": None if sent is None else nanoseconds(sent),
    }


def a_purge_and_a_retry() -> list[Row | Action]:
    sent_again = span_row(
        20,
        "sent",
        at=NOON + 9 * SECOND,
        task_id="again",
        task_name="shop.pay",
        sent_unix_nano=nanoseconds(NOON + 9 * SECOND),
    )
    received = span_row(21, "received", task_id="derived", task_name="shop.pay", sent_unix_nano=0)
    queue = {"queue": "orders"}
    return [
        *task_rows(1, task_id="waits")[:1],
        *task_rows(5, task_id="again")[:1],
        sent_again,
        *task_rows(9, task_id="ran"),
        *task_rows(13, task_id="failed", end="failed"),
        received,
        Action(1, "intent", "purge", LATER, queue),
        Action(2, "progress", "purge", LATER, None, {"purged": [purged("waits", NOON), purged("again", NOON)]}),
        Action(3, "progress", "purge", LATER, None, {"purged": [purged("ran", NOON), purged("unseen", None), purged("waits", NOON)]}),
        Action(4, "outcome", "purge", LATER, queue, {"purged": [purged("derived", None)], "state": "succeeded"}),
        Action(5, "intent", "retry", LATER, {"task_id": "failed"}),
        Action(6, "outcome", "retry", LATER + SECOND, {"task_id": "failed"},
               {"tasks": [{"task_id": "failed", "result": "sent", "new_task_id": "new"}], "state": "succeeded"}),
    ]  # fmt: skip


EXPECTED = [
    ("again", "sent", False, "shop.pay"),
    ("derived", "purged", True, "shop.pay"),
    ("failed", "failed", True, "shop.pay"),
    ("ran", "succeeded", True, "shop.pay"),
    ("unseen", "purged", True, None),
    ("waits", "purged", True, "shop.pay"),
]


def arrive(
    database: MigratedDatabase, ledger: Ledger, arrivals: Sequence[Row | Action]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    for arrival in arrivals:
        if isinstance(arrival, Action):
            arrival.insert(database)
        else:
            ledger.write_spans(database.token, [arrival])
    return database.rows(TASKS), database.rows(TASK_ACTIONS)


def forget_everything(database: MigratedDatabase) -> None:
    """What only a superuser can do, and only a test that starts again means."""
    with database.connect(autocommit=False) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        for table in ("spans", "leaf_groups", "blocks", "chain", "actions"):
            triggers = connection.execute(
                "SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal",
                [f"celerytrail.{table}"],
            ).fetchall()
            connection.execute(f"ALTER TABLE celerytrail.{table} DISABLE TRIGGER USER".encode())
            connection.execute(f"DELETE FROM celerytrail.{table}".encode())
            for (name,) in triggers:
                connection.execute(
                    f"ALTER TABLE celerytrail.{table} ENABLE ALWAYS TRIGGER {name}".encode()
                )
        for table in ("tasks", "runs", "run_ends", "groups", "streams", "workers", "task_actions"):
            connection.execute(f"DELETE FROM celerytrail.{table}".encode())
        connection.commit()


@pytest.fixture
def in_order(
    migrated: MigratedDatabase, ledger: Ledger
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The tables after everything arrived in the order in which it happened."""
    return arrive(migrated, ledger, a_purge_and_a_retry())


@pytest.mark.usefixtures("in_order")
def test_purged_and_retried_tasks_say_so(migrated: MigratedDatabase) -> None:
    assert migrated.rows(STATES) == EXPECTED
    retried = migrated.rows(
        "SELECT task_id, retried_as, retried_at, retry_of FROM celerytrail_views.tasks"
        " WHERE retried_as IS NOT NULL OR retry_of IS NOT NULL"
    )
    assert retried == [("failed", "new", LATER + SECOND, None)]
    assert migrated.rows(
        "SELECT task_id, verb, phase, result, new_task_id FROM celerytrail_views.task_actions"
        " ORDER BY task_id, action_time"
    ) == [
        ("again", "purge", "progress", "purged", None),
        ("derived", "purge", "outcome", "purged", None),
        ("failed", "retry", "intent", None, None),
        ("failed", "retry", "outcome", "sent", "new"),
        ("ran", "purge", "progress", "purged", None),
        ("unseen", "purge", "progress", "purged", None),
        ("waits", "purge", "progress", "purged", None),
        ("waits", "purge", "progress", "purged", None),
    ]


def test_the_new_task_knows_what_it_is_a_retry_of(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    arrive(migrated, ledger, a_purge_and_a_retry())
    ledger.write_spans(migrated.token, task_rows(30, task_id="new"))
    assert migrated.rows(
        "SELECT task_id, retried_as, retry_of FROM celerytrail_views.tasks"
        " WHERE task_id IN ('new', 'failed') ORDER BY 1"
    ) == [("failed", "new", None), ("new", None, "failed")]
    # Another deployment's task of that name is another task.
    with migrated.connect() as connection:
        connection.execute("UPDATE celerytrail.tasks SET service = 'bank' WHERE task_id = 'new'")
    assert migrated.rows("SELECT retry_of FROM celerytrail_views.tasks WHERE task_id = 'new'") == [
        (None,)
    ]


@given(order=st.permutations(range(len(a_purge_and_a_retry()))))
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_order_of_events_and_actions_gives_the_same_and_so_does_a_rebuild(
    migrated: MigratedDatabase,
    ledger: Ledger,
    in_order: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]],
    order: list[int],
) -> None:
    forget_everything(migrated)
    arrivals = a_purge_and_a_retry()
    assert arrive(migrated, ledger, [arrivals[number] for number in order]) == in_order
    migrated.run(
        "UPDATE celerytrail.tasks SET state = 'sent'; DELETE FROM celerytrail.task_actions"
    )
    with migrated.connect() as connection:
        rebuild_read_model(connection, rows_at_once=1)
    assert (migrated.rows(TASKS), migrated.rows(TASK_ACTIONS)) == in_order


def test_a_rebuild_restores_what_the_actions_say_and_nothing_else(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    arrive(migrated, ledger, a_purge_and_a_retry())
    before = migrated.read_model()
    migrated.run(
        "DELETE FROM celerytrail.task_actions; DELETE FROM celerytrail.tasks;"
        "INSERT INTO celerytrail.task_actions SELECT gen_random_uuid(), 'x', '', 's', '', NULL, now(), 'v', 'p', NULL, NULL, 'a'"
    )
    with migrated.connect() as connection:
        rebuild_read_model(connection)
    assert migrated.read_model() == before


@pytest.mark.parametrize(
    ("phase", "target", "detail", "named"),
    [
        ("intent", '{"task_id": "a"}', None, [("a", None, None)]),
        ("intent", '{"tasks": ["a", {"task_id": "b"}, 3, null, ["c"], ""]}', None, [("a", None, None), ("b", None, None)]),
        ("intent", '{"group_id": "g"}', None, []),
        ("intent", '{"queue": "q"}', None, []),
        ("refused", '{"task_id": "a"}', '{"code": "no_body"}', [("a", "no_body", None)]),
        ("outcome", '{"task_id": "a"}', '{"state": "unknown"}', [("a", "unknown", None)]),
        (
            "outcome",
            '{"tasks": ["a", "b"]}',
            '{"state": "partial", "tasks": [{"task_id": "a", "result": "failed"}, {"task_id": "a", "result": "sent", "new_task_id": "n"}]}',
            [("a", "sent", "n"), ("b", "partial", None)],
        ),
        ("outcome", "[1]", '"x"', []),
        ("outcome", '{"tasks": {"task_id": "a"}}', '{"tasks": 5, "purged": "b"}', []),
        ("outcome", '{"task_id": "\\u0000"}', None, []),
        ("outcome", '{"task_id": "a"}', '{"tasks": [{"task_id": "\\ud800"}]}', []),
        ("outcome", None, json.dumps({"tasks": [{"task_id": "x" * 1025}, {"task_id": "é" * 512, "new_task_id": "n" * 1025}]}), [("é" * 512, None, None)]),
    ],
)  # fmt: skip
def test_an_action_is_stored_whatever_its_json_says(
    migrated: MigratedDatabase,
    phase: str,
    target: str | None,
    detail: str | None,
    named: list[tuple[Any, ...]],
) -> None:
    with migrated.connect("actions") as connection:
        connection.execute(
            "SELECT celerytrail.append_action(action_id => gen_random_uuid(), phase => %s,"
            " verb => 'retry', actor => 'ann', actor_kind => 'grafana', service => 'shop',"
            " target => %s, detail => %s)",
            [phase, target, detail],
        )
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 1
    assert migrated.rows(
        "SELECT task_id, result, new_task_id FROM celerytrail.task_actions ORDER BY 1"
    ) == sorted(named)


@pytest.mark.parametrize("sent", [-1, "x", 2**63, 10**30, 1.5, True, [], None])
def test_a_purge_without_a_usable_time_of_sending_loses_to_any_send(
    migrated: MigratedDatabase, ledger: Ledger, sent: Any
) -> None:
    detail = {"purged": [{"task_id": "a", "sent_unix_nano": sent}, {"task_id": "b"}, 5]}
    Action(1, "progress", "purge", LATER, None, detail).insert(migrated)
    assert migrated.rows("SELECT task_id, state FROM celerytrail.tasks ORDER BY 1") == [
        ("a", "purged"),
        ("b", "purged"),
    ]
    ledger.write_spans(migrated.token, task_rows(1, task_id="a")[:1])
    assert migrated.value("SELECT state FROM celerytrail.tasks WHERE task_id = 'a'") == "sent"


def test_only_a_purge_purges(migrated: MigratedDatabase) -> None:
    detail = {"purged": [purged("a", NOON)]}
    for number, (phase, verb) in enumerate(
        [("intent", "purge"), ("refused", "purge"), ("outcome", "cancel"), ("progress", "retry")]
    ):
        Action(number, phase, verb, LATER, None, detail).insert(migrated)
    assert migrated.rows("SELECT * FROM celerytrail.tasks") == []


def test_the_words_of_an_operator_are_shown_bound_and_can_be_erased(
    migrated: MigratedDatabase,
) -> None:
    shown = "SELECT reason FROM celerytrail_views.actions WHERE phase = 'intent' ORDER BY batch_id"
    of_tasks = "SELECT DISTINCT reason FROM celerytrail_views.task_actions ORDER BY 1"
    with migrated.connect("actions") as connection:
        one = Intents(connection)
        first = one.begin(reason="customer Zoë asked").intent_id
        one.begin(target_key="task/b/0", target='{"task_id": "b"}')
        one.begin(target_key="task/c/0", target='{"task_id": "c"}', reason="")
        one.finish(first)
    assert migrated.rows(shown) == [("customer Zoë asked",), (None,), (None,)]
    assert migrated.rows(of_tasks) == [("customer Zoë asked",), (None,)]
    # Somebody with all rights puts other words there.
    forged = "UPDATE celerytrail.action_reasons SET body = 'ann felt like it'"
    with pytest.raises(Exception, match="forbidden"):
        migrated.run(forged)
    disabled = "ALTER TABLE celerytrail.action_reasons {} TRIGGER forbid_change"
    migrated.run(f"{disabled.format('DISABLE')}; {forged}; {disabled.format('ENABLE ALWAYS')}")
    assert migrated.rows(shown) == [(None,), (None,), (None,)]
    migrated.run("DELETE FROM celerytrail.action_reasons")
    everywhere = migrated.rows(
        "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'celerytrail'::regnamespace"
    )
    for (table,) in everywhere:
        rows = migrated.rows(f"SELECT t::text FROM celerytrail.{table} t")
        assert not any("Zoë" in text or "felt" in text for (text,) in rows), table
    assert verify_outside(migrated.dsn("verifier")).bad == ()


def test_the_commitment_to_a_reason_is_that_of_the_format(migrated: MigratedDatabase) -> None:
    with migrated.connect("actions") as connection:
        Intents(connection).begin(reason="é")
    ((committed, salt),) = migrated.rows(
        "SELECT a.reason_commitment, r.salt FROM celerytrail.actions a"
        " JOIN celerytrail.action_reasons r ON r.intent_id = a.action_id"
    )
    assert committed == commit(REASON_KIND, salt, "é".encode())
