"""What a viewer can do who may send any SQL as celerytrail_grafana: refused, or undone by one round of the maintainer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from psycopg import errors

from celerytrail.sql.maintain import Bounds, Done, maintain_once
from tests.integration.roles.ledger_database import (
    LedgerDatabase,
    committing,
    in_order,
    payload,
    payload_in_order,
    span,
)
from tests.waiting import DEADLINE_SECONDS

pytest_plugins = ["tests.databases"]

AT_ONCE = Bounds(statement_seconds=1, idle_seconds=1, session_seconds=600)
"""Bounds that a test need not wait long for; the session's age is a test of its own."""

VIEWS = (
    "actions",
    "chain_state",
    "chains",
    "checkpoint_silence",
    "checkpoints",
    "chords",
    "critical_path",
    "day_drops",
    "deployments",
    "erased_tasks",
    "erasure_state",
    "erasures",
    "failed_workflows",
    "failures",
    "groups",
    "heartbeats",
    "missing_events",
    "payloads",
    "queue_names",
    "read_model_checks",
    "rebuilds",
    "runs",
    "searchable",
    "spans",
    "streams",
    "stuck_runs",
    "task_actions",
    "task_names",
    "task_spans",
    "tasks",
    "verifications",
    "workers",
    "workflow_edges",
    "workflow_members",
    "workflow_nodes",
    "workflow_spans",
    "workflows",
)


def a_round(database: LedgerDatabase, bounds: Bounds = AT_ONCE) -> list[str]:
    """One round of the maintainer, under its own role; what it did."""
    done: list[Done] = []
    assert maintain_once(database.dsn("maintainer"), done.append, bounds), done
    return [f"{one.step}: {one.message}" for one in done]


def rounds_until(
    database: LedgerDatabase, happened: Callable[[], bool], bounds: Bounds = AT_ONCE
) -> list[str]:
    done: list[str] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, done
        done += a_round(database, bounds)
    return done


@contextmanager
def unlimited(database: LedgerDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A session of Grafana's role that has lifted the limits that it can lift."""
    with database.connect("grafana") as grafana:
        for setting in (
            "default_transaction_read_only = off",
            "transaction_read_only = off",
            "statement_timeout = 0",
            "lock_timeout = 0",
            "idle_in_transaction_session_timeout = 0",
        ):
            grafana.execute(f"SET {setting}".encode())
        yield grafana


def is_gone(session: psycopg.Connection[Any]) -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def give_to_public(database: LedgerDatabase, *rights: str) -> None:
    """Make it a server whose PUBLIC may more, so that the maintainer is what is left."""
    for right in rights:
        database.run(f"GRANT {right} TO PUBLIC")


def test_every_view_can_be_read(ledger_database: LedgerDatabase) -> None:
    ledger_database.write_honest_batches()
    with ledger_database.connect() as superuser:
        there = superuser.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = 'celerytrail_views' ORDER BY 1"
        ).fetchall()
    assert [row[0] for row in there] == list(VIEWS)
    with ledger_database.connect("grafana") as grafana:
        for view in VIEWS:
            grafana.execute(f"SELECT * FROM celerytrail_views.{view}".encode()).fetchall()
        row = grafana.execute("SELECT count(*) FROM celerytrail_views.tasks").fetchone()
    assert row is not None
    assert row[0] > 0


def test_a_session_starts_with_its_limits(ledger_database: LedgerDatabase) -> None:
    with ledger_database.connect("grafana") as grafana:
        shown = {
            name: grafana.execute(f"SHOW {name}".encode()).fetchone()
            for name in (
                "default_transaction_read_only",
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "work_mem",
                "temp_file_limit",
                "jit",
            )
        }
    assert [row[0] for row in shown.values() if row] == [
        "on", "15s", "5s", "10s", "16MB", "1GB", "off",
    ]  # fmt: skip
    assert (
        ledger_database.value(
            "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'celerytrail_grafana'"
        )
        == 30
    )


def test_reading_anything_but_the_views_is_refused(ledger_database: LedgerDatabase) -> None:
    with ledger_database.connect() as superuser:
        relations = [
            str(row[0])
            for row in superuser.execute(
                "SELECT c.oid::regclass FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'S')"
                " AND c.relnamespace IN ('celerytrail'::regnamespace,"
                " 'celerytrail_admin'::regnamespace)"
            )
        ]
    assert len(relations) > 30
    queries = [f"SELECT * FROM {relation}" for relation in relations]
    queries += [
        "SELECT rolpassword FROM pg_authid",
        "SELECT * FROM pg_stat_activity",
        "SELECT pg_stat_get_backend_activity(1)",
        "SELECT celerytrail.authenticate(sha256('x'))",
        "SELECT celerytrail.stored_digests('{}')",
        "SELECT celerytrail_admin.restore_roles()",
        "SELECT celerytrail.hardening_gaps()",
        # It has the right to execute these, for the views that call them, and no way to name them.
        "SELECT celerytrail.workflow_state('task-1', 'acme', 'shop', 'test')",
        "SELECT celerytrail.workflow_members('task-1', 'acme', 'shop', 'test')",
        "SELECT celerytrail.workflow_bars('task-1', 'acme', 'shop', 'test', NULL)",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_ls_dir('/')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY celerytrail.payloads TO STDOUT",
    ]
    assert ledger_database.not_refused("grafana", queries) == []


def test_sealed_bodies_and_salts_are_not_in_the_views(ledger_database: LedgerDatabase) -> None:
    shown, sealed = payload("task-1", "args"), payload("task-1", "body", body=b"sealed-secret")
    values = committing(span(1, task_id="task-1"), shown, sealed)
    with ledger_database.ledger() as ledger:
        ledger.write_payloads(
            ledger_database.token, [payload_in_order(shown), payload_in_order(sealed)]
        )
        ledger.write_spans(ledger_database.token, [in_order(values)])
    seen = []
    with ledger_database.connect("grafana") as grafana:
        for view in VIEWS:
            rows = grafana.execute(
                f"SELECT v::text FROM celerytrail_views.{view} AS v".encode()
            ).fetchall()
            seen += [str(row[0]) for row in rows]
        args = grafana.execute("SELECT args FROM celerytrail_views.tasks").fetchone()
    assert args == (bytes(shown["body"]).decode(),)
    text = "\n".join(seen)
    for secret in (sealed["body"], sealed["salt"], shown["salt"]):
        assert bytes(secret).hex() not in text
    assert "sealed-secret" not in text


def test_what_a_reader_has_no_use_for_is_refused(ledger_database: LedgerDatabase) -> None:
    """With the session's read-only mode lifted, which is no boundary."""
    statements = [
        "CREATE TEMPORARY TABLE t (a int)",
        "CREATE TEMPORARY VIEW tasks AS SELECT 1",
        "SELECT 1 AS a INTO TEMPORARY t",
        "CREATE TABLE public.t (a int)",
        "CREATE TABLE celerytrail_views.t (a int)",
        "CREATE VIEW celerytrail_views.v AS SELECT 1",
        "CREATE SCHEMA s",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_put(1, 0, 'x')",
        "SELECT lo_unlink(1)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_try_advisory_lock(1, 2)",
        "SELECT pg_try_advisory_lock_shared(1)",
        "SELECT pg_sleep(0)",
        "SELECT pg_sleep_for('0')",
        "SELECT pg_sleep_until(now())",
        "SELECT pg_notify('a', 'b')",
        "SELECT pg_logical_emit_message(false, 'a', 'b')",
        "SELECT set_config('work_mem', '1GB', false)",
        "UPDATE pg_settings SET setting = '1GB' WHERE name = 'work_mem'",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_cancel_backend(1)",
        "DO $$ BEGIN PERFORM 1; END $$",
        "SET temp_file_limit = -1",
        "SET session_replication_role = replica",
        "SET ROLE celerytrail_owner",
        "ALTER ROLE celerytrail_grafana CONNECTION LIMIT -1",
        "ALTER ROLE celerytrail_grafana SUPERUSER",
        "ALTER ROLE celerytrail_grafana SET temp_file_limit = -1",
        "ALTER ROLE celerytrail_sink PASSWORD 'x'",
        "DELETE FROM celerytrail_views.tasks",
        "INSERT INTO celerytrail_views.actions DEFAULT VALUES",
        "UPDATE celerytrail_views.spans SET task_name = 'x'",
        "TRUNCATE celerytrail.spans",
        "SELECT * FROM celerytrail_views.spans FOR UPDATE",
        "BEGIN; LOCK TABLE celerytrail_views.spans IN SHARE MODE",
        "BEGIN; LOCK TABLE celerytrail.spans IN ACCESS SHARE MODE",
        "CHECKPOINT",
        "DROP OWNED BY celerytrail_grafana, celerytrail_sink",
    ]
    through: list[str] = []
    for statement in statements:
        with unlimited(ledger_database) as grafana:
            try:
                grafana.execute(statement.encode())
            except (errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState):
                continue
            except psycopg.Error as error:
                through.append(f"{statement}: {error}")
            else:
                through.append(statement)
    assert through == []


def test_its_own_settings_and_password_are_put_back(ledger_database: LedgerDatabase) -> None:
    settings = (
        "SELECT coalesce(json_object_agg(coalesce(d.datname, ''), s.setconfig), '{}')"
        " FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase"
        " WHERE s.setrole = 'celerytrail_grafana'::regrole"
    )
    verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'celerytrail_grafana'"
    dsn = ledger_database.dsn("grafana")
    a_round(ledger_database)  # sees the password for the first time
    before = ledger_database.value(settings), ledger_database.value(verifier)
    with unlimited(ledger_database) as grafana:
        for change in (
            "SET statement_timeout = 0",
            "SET work_mem = '2GB'",
            f"IN DATABASE {ledger_database.name} SET statement_timeout = 0",
            "RESET default_transaction_read_only",
            "SET search_path = 'public'",
            "PASSWORD 'mine now'",
        ):
            grafana.execute(f"ALTER ROLE celerytrail_grafana {change}".encode())
        assert json.dumps(ledger_database.value(settings)) != json.dumps(before[0])
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)
        done = a_round(ledger_database)
        # What superusers alone may change was never its own to reset.
        grafana.execute("ALTER ROLE celerytrail_grafana RESET ALL")
        done += a_round(ledger_database)
        grafana.execute("ALTER ROLE celerytrail_grafana PASSWORD NULL")
        done += a_round(ledger_database)
    after = ledger_database.value(settings), ledger_database.value(verifier)
    assert sorted(after[0][""]) == sorted(before[0][""])
    assert (after[0].keys(), after[1]) == (before[0].keys(), before[1])
    psycopg.connect(dsn).close()
    assert done.count("roles: restored the settings of celerytrail_grafana") == 2
    assert done.count("roles: restored the password of celerytrail_grafana") == 2
    assert done.count("roles: restored the settings of celerytrail_grafana in this database") == 1


def test_a_long_statement_is_cancelled_then_its_session_ended(
    ledger_database: LedgerDatabase,
) -> None:
    give_to_public(ledger_database, "EXECUTE ON FUNCTION pg_sleep(float8)")
    with unlimited(ledger_database) as grafana:
        outcome: list[BaseException] = []

        def sleep() -> None:
            try:
                grafana.execute("SELECT pg_sleep(600)")
            except psycopg.Error as error:
                outcome.append(error)

        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        # Between the bound and its double a round has to come, also on a busy machine.
        bounds = replace(AT_ONCE, statement_seconds=5)
        done = rounds_until(ledger_database, lambda: not sleeper.is_alive(), bounds)
        assert isinstance(outcome[0], errors.QueryCanceled)
        assert any("cancelled a statement" in line for line in done)


def test_a_statement_that_catches_its_cancellation_is_ended(
    ledger_database: LedgerDatabase,
) -> None:
    stubborn = (
        "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600);"
        " EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"
    )
    give_to_public(
        ledger_database, "EXECUTE ON FUNCTION pg_sleep(float8)", "USAGE ON LANGUAGE plpgsql"
    )
    with unlimited(ledger_database) as grafana:
        outcome: list[BaseException] = []

        def loop() -> None:
            try:
                grafana.execute(stubborn.encode())
            except psycopg.Error as error:
                outcome.append(error)

        looper = threading.Thread(target=loop)
        looper.start()
        done = rounds_until(ledger_database, lambda: not looper.is_alive())
        assert isinstance(outcome[0], (errors.AdminShutdown, psycopg.OperationalError))
        assert any("ended session" in line for line in done)


def test_a_transaction_left_open_is_ended(ledger_database: LedgerDatabase) -> None:
    with unlimited(ledger_database) as grafana:
        grafana.execute("BEGIN")
        grafana.execute("SELECT count(*) FROM celerytrail_views.spans")
        # A word now and then does not prolong it.
        done = rounds_until(ledger_database, lambda: is_gone(grafana))
    assert any("left a transaction open" in line for line in done)


def test_a_session_gets_no_older_than_its_bound(ledger_database: LedgerDatabase) -> None:
    """What it has set for itself ends with it."""
    bounds = Bounds(session_seconds=5)
    with unlimited(ledger_database) as grafana:
        grafana.execute("SET work_mem = '2GB'")
        deadline = time.monotonic() + DEADLINE_SECONDS
        done: list[str] = []
        while not is_gone(grafana):
            assert time.monotonic() < deadline, done
            done += a_round(ledger_database, bounds)
    assert any("older than a session may get" in line for line in done)
    with ledger_database.connect("grafana") as grafana:
        assert grafana.execute("SHOW work_mem").fetchone() == ("16MB",)


def test_advisory_locks_are_released(ledger_database: LedgerDatabase) -> None:
    give_to_public(ledger_database, "EXECUTE ON FUNCTION pg_advisory_lock(int8)")
    with unlimited(ledger_database) as grafana:
        # The key that `celerytrail migrate` uses.
        grafana.execute("SELECT pg_advisory_lock(7161116826484895090)")
        done = a_round(ledger_database, Bounds())
        assert is_gone(grafana)
    assert any("held an advisory lock" in line for line in done)
    assert (
        ledger_database.value(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE locktype = 'advisory' AND d.datname = current_database()"
        )
        == 0
    )


def test_large_objects_are_removed(ledger_database: LedgerDatabase) -> None:
    give_to_public(ledger_database, "EXECUTE ON FUNCTION lo_from_bytea(oid, bytea)")
    with unlimited(ledger_database) as grafana:
        for _ in range(3):
            grafana.execute("SELECT lo_from_bytea(0, repeat('x', 10000)::bytea)")
    assert ledger_database.value("SELECT count(*) FROM pg_largeobject_metadata") == 3
    assert "large objects: removed 3 large objects" in a_round(ledger_database, Bounds())
    assert ledger_database.value("SELECT count(*) FROM pg_largeobject_metadata") == 0


def test_temporary_tables_are_removed_with_their_session(ledger_database: LedgerDatabase) -> None:
    count = "SELECT count(*) FROM pg_class WHERE relowner = 'celerytrail_grafana'::regrole"
    give_to_public(ledger_database, f"TEMPORARY ON DATABASE {ledger_database.name}")
    with unlimited(ledger_database) as grafana:
        grafana.execute("CREATE TEMPORARY TABLE t AS SELECT generate_series(1, 1000)")
        done = a_round(ledger_database, Bounds())
        assert is_gone(grafana)
        rounds_until(ledger_database, lambda: ledger_database.value(count) == 0)
    assert any("had made a temporary table" in line for line in done)


def test_other_roles_sessions_are_left_alone(ledger_database: LedgerDatabase) -> None:
    with ExitStack() as stack:
        sessions = {
            role: stack.enter_context(ledger_database.connect(role))
            for role in ("sink", "verifier", "actions", "postgres", "grafana")
        }
        sessions["verifier"].execute("BEGIN")
        sessions["postgres"].execute("BEGIN")
        for _ in range(3):
            a_round(ledger_database, Bounds())
        assert [role for role, session in sessions.items() if is_gone(session)] == []


def test_an_open_transaction_of_a_sink_is_ended(ledger_database: LedgerDatabase) -> None:
    """It may hold the head of the chain, which all sinks wait for."""
    with ledger_database.sink_session() as sink:
        sink.execute("BEGIN")
        sink.execute("SET CONSTRAINTS ALL IMMEDIATE")
        values = span()
        sink.execute(
            f"INSERT INTO celerytrail.spans ({', '.join(values)})"
            f" VALUES ({', '.join(['%s'] * len(values))})".encode(),
            list(values.values()),
        )
        done: list[str] = []
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        writer = threading.Thread(target=ledger_database.write_honest_batches, args=(1,))
        writer.start()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not ledger_database.value(blocked) and writer.is_alive():
            assert time.monotonic() < deadline
        while writer.is_alive():
            assert time.monotonic() < deadline, done
            done += a_round(ledger_database)
        assert is_gone(sink)
    assert any("of celerytrail_sink: it left a transaction open" in line for line in done)
    assert ledger_database.value("SELECT count(*) FROM celerytrail.spans") == 4
    ledger_database.assert_clean()


def test_ingest_goes_on_beside_an_open_transaction(ledger_database: LedgerDatabase) -> None:
    """It holds a lock on every table that a view reads, while a new day is made too."""
    ledger_database.write_honest_batches()
    with unlimited(ledger_database) as grafana:
        grafana.execute("BEGIN")
        for view in VIEWS:
            grafana.execute(f"SELECT count(*) FROM celerytrail_views.{view}".encode())
            grafana.execute(f"LOCK TABLE celerytrail_views.{view} IN ACCESS SHARE MODE".encode())
        grafana.execute("DECLARE c CURSOR FOR SELECT * FROM celerytrail_views.spans")
        grafana.execute("FETCH 1 FROM c")
        ledger_database.write_honest_batches()
        noon = datetime.now(timezone.utc).replace(hour=12) - timedelta(days=7)
        partition = f"celerytrail.spans_{noon:%Y%m%d}"
        assert ledger_database.value("SELECT to_regclass(%s)", partition) is None
        item = payload("task-1", day=noon.date(), event_time=noon)
        values = committing(span(1, day=noon.date(), event_time=noon), item)
        with ledger_database.ledger() as ledger:
            assert (
                ledger.write_payloads(ledger_database.token, [payload_in_order(item)]).inserted == 1
            )
            assert ledger.write_spans(ledger_database.token, [in_order(values)]).inserted == 1
        assert ledger_database.value("SELECT to_regclass(%s)", partition) is not None
        assert grafana.execute("SELECT count(*) FROM celerytrail_views.spans").fetchone() == (25,)
        grafana.execute("COMMIT")
    ledger_database.assert_clean()
