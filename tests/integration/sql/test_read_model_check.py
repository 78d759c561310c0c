"""The sample that is recomputed from the ledger: it sees a lie in the read model, and no lie where there is none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from celerytrail.sql.maintain import Bounds, Done, maintain_once
from tests.grafana.alert_evaluation import evaluate, provisioned_rule
from tests.grafana.data_source import DataSource
from tests.span_rows import NOON, span_row, task_rows, with_columns

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

NEWEST = (
    "SELECT sampled, different, incomparable, task_id, column_name, stored, recomputed"
    " FROM celerytrail_views.read_model_checks ORDER BY checked_at DESC LIMIT 1"
)
EVERY_TIME = Bounds(check_seconds=0, check_sample=400)
INVENTED_RUN = (
    "CREATE TEMP TABLE invented AS SELECT * FROM celerytrail.runs WHERE task_id = 't0';"
    "UPDATE invented SET run_id = 'invented';"
    "INSERT INTO celerytrail.runs SELECT * FROM invented"
)
COLUMNS = (
    "SELECT a.attname::text, a.atttypid::regtype::text FROM pg_attribute a"
    " JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
    " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
    " AND NOT a.attnum = ANY (i.indkey::int2[]) ORDER BY a.attnum"
)
LIES = {
    "text": "'a lie'",
    "bytea": r"'\x11e5'::bytea",
    "integer": "117",
    "bigint": "117",
    "boolean": "NOT {column}",
    "timestamp with time zone": "coalesce({column}, now()) + interval '1 microsecond'",
    "date": "coalesce({column}, current_date) + 1",
}


def look(database: MigratedDatabase) -> tuple[Any, ...]:
    assert maintain_once(database.dsn("maintainer"), lambda done: None, EVERY_TIME)
    (found,) = database.rows(NEWEST)
    return found


def test_the_sinks_role_is_seen_to_lie(migrated: MigratedDatabase, ledger: Ledger) -> None:
    for number in range(5):
        ledger.write_spans(migrated.token, task_rows(4 * number + 1, task_id=f"t{number}"))
    assert look(migrated) == (5, 0, 0, None, None, None, None)
    with migrated.connect("sink") as sink:
        sink.execute(
            "UPDATE celerytrail.tasks SET state = 'failed', inferred = true WHERE task_id = 't3'"
        )
    assert look(migrated) == (5, 1, 0, "t3", "state", "failed", "succeeded")
    reported: list[Done] = []
    assert maintain_once(migrated.dsn("maintainer"), reported.append, EVERY_TIME)
    (said,) = [one.message for one in reported if one.step == "read model"]
    assert said.startswith(
        "1 of 5 tasks are not as the ledger has them, first t3: state is failed,"
    )


@pytest.mark.parametrize(
    ("lie", "expected"),
    [
        ("UPDATE celerytrail.tasks SET worker = 'celery@x' WHERE task_id = 't0'", ("t0", "worker", "celery@x", "celery@host")),
        ("UPDATE celerytrail.runs SET state = 'failed' WHERE task_id = 't0'", ("t0", "runs.state", "failed", "succeeded")),
        ("DELETE FROM celerytrail.tasks WHERE task_id = 't0'", ("t0", None, "no row", "a row")),
        ("UPDATE celerytrail.tasks SET task_id = 'none' WHERE task_id = 't0'", ("none", None, "a row", "no row")),
        ("DELETE FROM celerytrail.runs WHERE task_id = 't0'", ("t0", "runs", "no row", "a row")),
        (INVENTED_RUN, ("t0", "runs", "a row", "no row")),
    ],
    ids=["worker", "run", "deleted", "renamed", "run deleted", "run invented"],
)  # fmt: skip
def test_what_differs_is_named(
    migrated: MigratedDatabase, ledger: Ledger, lie: str, expected: tuple[str, ...]
) -> None:
    for number in range(3):
        ledger.write_spans(migrated.token, task_rows(4 * number + 1, task_id=f"t{number}"))
    migrated.run(lie)
    found = look(migrated)
    assert found[1] >= 1
    assert found[3:] == expected


@pytest.mark.parametrize("table", ["tasks", "runs"])
def test_a_lie_in_any_column_is_seen(
    migrated: MigratedDatabase, ledger: Ledger, table: str
) -> None:
    rows = task_rows(task_id="t", end="failed", group_id="g", chord_body_id="body")
    first = with_columns(rows[0], attributes='{"celery.chain.length": 3, "celery.chain.left": 2}')
    ledger.write_spans(migrated.token, [first, *rows[1:]])
    assert look(migrated)[:2] == (1, 0)
    unseen = []
    for column, kind in migrated.rows(COLUMNS, f"celerytrail.{table}"):
        migrated.run(
            "DROP TABLE IF EXISTS public.true_rows;"
            f"CREATE TABLE public.true_rows AS SELECT * FROM celerytrail.{table};"
            f"UPDATE celerytrail.{table} SET {column} = {LIES[kind].format(column=column)}"
        )
        if look(migrated)[1] == 0:
            unseen.append(column)
        migrated.run(
            f"DELETE FROM celerytrail.{table};"
            f"INSERT INTO celerytrail.{table} SELECT * FROM public.true_rows"
        )
    assert unseen == []


def test_a_run_from_before_what_was_dropped_is_no_lie(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """Of the task nothing else tells that it reaches back: its publisher has no agent."""
    day = NOON - timedelta(days=5)
    before = task_rows(1, task_id="t", at=day, sent_unix_nano=None, send_id=None)[2:3]
    after = task_rows(5, task_id="t", attempt=1, sent_unix_nano=1, send_id=None)[2:]
    ledger.write_spans(migrated.token, [*before, *after])
    assert look(migrated)[:2] == (1, 0)
    migrated.run(
        f"DROP TABLE celerytrail.spans_{day:%Y%m%d};"
        "UPDATE celerytrail.horizon SET retained_from = current_date - 3"
    )
    assert migrated.value("SELECT count(*) FROM celerytrail.runs") == 2
    assert look(migrated)[:3] == (1, 0, 0)


def test_tasks_that_reach_back_before_what_was_dropped_are_not_compared(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    day = NOON - timedelta(days=5)
    ledger.write_spans(
        migrated.token,
        [
            span_row(1, "sent", at=day, task_id="half", task_name="a", sent_unix_nano=1),
            span_row(2, "received", task_id="half", task_name="a", sent_unix_nano=1),
            *task_rows(3, task_id="whole"),
        ],
    )
    migrated.run(
        f"DROP TABLE celerytrail.spans_{day:%Y%m%d};"
        "UPDATE celerytrail.horizon SET retained_from = current_date - 3"
    )
    assert look(migrated)[:3] == (2, 0, 1)


def test_a_purge_is_recomputed_from_the_actions(migrated: MigratedDatabase, ledger: Ledger) -> None:
    sent = task_rows(task_id="purged")[0]
    ledger.write_spans(migrated.token, [with_columns(sent, sent_unix_nano=5)])
    detail = json.dumps({"purged": [{"task_id": "purged", "sent_unix_nano": "5"}]})
    with migrated.connect("actions") as actions:
        actions.execute(
            "SELECT celerytrail.append_action(gen_random_uuid(), 'outcome', 'purge', 'alice', 'user',"
            " namespace => 'acme', service => 'shop', environment => 'test', detail => %s)",
            [detail],
        )
    assert migrated.rows("SELECT state FROM celerytrail.tasks") == [("purged",)]
    assert look(migrated)[:2] == (1, 0)


def test_a_difference_is_an_alert_for_an_hour(migrated: MigratedDatabase, ledger: Ledger) -> None:
    rule = provisioned_rule("celerytrail-read-model-differs")
    grafana = DataSource(migrated.dsn("grafana"))
    ledger.write_spans(migrated.token, task_rows(task_id="t"))
    look(migrated)
    assert evaluate(rule, grafana) == []
    migrated.run("UPDATE celerytrail.tasks SET state = 'failed'")
    look(migrated)
    migrated.run("UPDATE celerytrail.tasks SET state = 'succeeded'")
    look(migrated)
    (alert,) = evaluate(rule, grafana)
    assert alert.value == 1
    migrated.run(
        "UPDATE celerytrail.read_model_checks SET checked_at = checked_at - interval '61 minutes'"
    )
    assert evaluate(rule, grafana) == []


def test_it_reads_a_few_tasks_of_many(migrated: MigratedDatabase) -> None:
    migrated.run(
        "INSERT INTO celerytrail.tasks (namespace, service, environment, task_id, state, inferred, state_day,"
        " state_key, attempts, updated_at) SELECT 'acme', 'shop', 'test', 'task-' || i, 'succeeded', false,"
        " current_date, '', 1, now() - i * interval '1 second' FROM generate_series(1, 30000) i;"
        "ANALYZE celerytrail.tasks"
    )
    read = "SELECT coalesce(seq_tup_read, 0) FROM pg_stat_user_tables WHERE relid = 'celerytrail.tasks'::regclass"
    before = migrated.value(read)
    with migrated.connect() as connection:
        connection.execute("SELECT celerytrail.check_read_model(400, 0)")
        connection.execute("SELECT pg_stat_force_next_flush()")
    # The random ones are chosen from whole pages, of about five thousand.
    assert migrated.value(read) - before < 10_000


def test_it_looks_now_and_then_and_keeps_a_month(migrated: MigratedDatabase) -> None:
    bounds = Bounds(check_seconds=300)
    for _ in range(2):
        assert maintain_once(migrated.dsn("maintainer"), lambda done: None, bounds)
    assert migrated.value("SELECT count(*) FROM celerytrail.read_model_checks") == 1
    migrated.run("UPDATE celerytrail.read_model_checks SET checked_at = now() - interval '31 days'")
    assert maintain_once(migrated.dsn("maintainer"), lambda done: None, bounds)
    assert migrated.value("SELECT count(*) FROM celerytrail.read_model_checks") == 1


@pytest.mark.parametrize("role", ["sink", "actions", "grafana", "verifier"])
def test_only_the_maintainer_checks(migrated: MigratedDatabase, role: str) -> None:
    with migrated.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT celerytrail.check_read_model(1, 0)")
