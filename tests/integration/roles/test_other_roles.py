"""What the verifier, the checkpointer, the action API and the maintainer may do: their one thing."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from celerytrail.sql.migrate import migrate
from tests.integration.roles.ledger_database import LedgerDatabase, span_rows

pytest_plugins = ["tests.databases"]

APPEND = "SELECT celerytrail.append_action(gen_random_uuid(), 'done', 'retry', 'alice', 'user')"
RECORD = (
    "SELECT celerytrail.record_verification("
    "'full', 0, 0, 1, sha256('head'), 'internal', NULL, 1, 0.1, true)"
)
SIGNED = (
    "SELECT celerytrail.record_checkpoint(now(), 1, 'ledger+abcd1234',"
    " '[{\"chain\": 0}]', 'a note', '{\"file\": \"ok\"}', NULL)"
)
REFUSED = "SELECT celerytrail.record_checkpoint(NULL, 1, NULL, NULL, NULL, NULL, 'a lower n')"
LOGINS = ("sink", "actions", "grafana", "verifier", "maintainer", "checkpointer")


def relations(database: LedgerDatabase) -> list[str]:
    with database.connect() as superuser:
        found = superuser.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'S')"
            " AND c.relnamespace IN ('celerytrail'::regnamespace, 'celerytrail_admin'::regnamespace)"
        ).fetchall()
    return [str(row[0]) for row in found]


def changes(database: LedgerDatabase) -> list[str]:
    """Every way to change something in every table of the ledger."""
    with database.connect() as superuser:
        tables = superuser.execute(
            "SELECT c.oid::regclass::text, (SELECT a.attname FROM pg_attribute a"
            " WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum DESC LIMIT 1)"
            " FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN"
            " ('celerytrail'::regnamespace, 'celerytrail_admin'::regnamespace)"
        ).fetchall()
    statements = []
    for table, column in tables:
        statements += [
            f"INSERT INTO {table} ({column}) VALUES (NULL)",
            f"UPDATE {table} SET {column} = DEFAULT",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"DROP TABLE {table}",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        ]
    assert len(statements) > 150
    return statements


@pytest.mark.parametrize("role", ["verifier", "actions", "maintainer", "checkpointer", "grafana"])
def test_no_table_can_be_changed(ledger_database: LedgerDatabase, role: str) -> None:
    allowed = ledger_database.not_refused(role, changes(ledger_database))
    # Grafana's sessions are read-only, which says so first.
    assert [line for line in allowed if "read-only transaction" not in line] == []


@pytest.mark.parametrize("role", LOGINS)
def test_no_role_becomes_another(ledger_database: LedgerDatabase, role: str) -> None:
    others = [other for other in (*LOGINS, "owner") if other != role]
    statements = [f"SET ROLE celerytrail_{other}" for other in others]
    statements += [f"SET SESSION AUTHORIZATION celerytrail_{other}" for other in others]
    statements += ["SET ROLE postgres", "SET session_replication_role = replica"]
    assert ledger_database.not_refused(role, statements) == []


@pytest.mark.parametrize("role", ["verifier", "actions", "maintainer", "checkpointer"])
def test_what_no_role_needs_is_refused(ledger_database: LedgerDatabase, role: str) -> None:
    statements = [
        "CREATE TEMPORARY TABLE t (a int)",
        "CREATE TABLE public.t (a int)",
        "CREATE TABLE celerytrail.t (a int)",
        "CREATE SCHEMA s",
        "SELECT lo_create(0)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_sleep(0)",
        "SELECT pg_terminate_backend(1)",
        "SELECT * FROM pg_stat_activity",
        "DO $$ BEGIN PERFORM 1; END $$",
        "SELECT celerytrail.authenticate(sha256('x'))",
        "SELECT celerytrail_admin.harden_database()",
        "SELECT celerytrail_admin.set_role_password('celerytrail_sink', 'SCRAM-SHA-256$x')",
    ]
    assert ledger_database.not_refused(role, statements) == []


def test_the_verifier_records_what_it_found_and_nothing_else(
    ledger_database: LedgerDatabase,
) -> None:
    with ledger_database.connect("verifier") as verifier:
        verifier.execute(RECORD)
        row = verifier.execute("SELECT verified_by FROM celerytrail.verifications").fetchone()
    assert row == ("celerytrail_verifier",)
    refused = [
        APPEND,
        "SELECT celerytrail.ensure_partitions(now()::date, now()::date)",
        "SELECT celerytrail.collect_orphans('unclaimed', '0', 1)",
        "SELECT celerytrail_admin.restore_roles()",
        "SELECT token_hash FROM celerytrail.tokens",
        "SELECT body FROM celerytrail.payloads",
        "SELECT args FROM celerytrail_views.tasks",
    ]
    assert ledger_database.not_refused("verifier", refused) == []
    for role in ("sink", "actions", "grafana", "maintainer"):
        assert ledger_database.not_refused(role, [RECORD]) == []


def test_the_checkpointer_reads_the_ledger_and_records_what_it_signed(
    ledger_database: LedgerDatabase,
) -> None:
    ledger_database.write_honest_batches()
    with ledger_database.connect("checkpointer") as checkpointer:
        for table in ("ledger", "spans", "actions", "leaf_groups", "blocks", "chain", "chain_head"):
            checkpointer.execute(f"SELECT * FROM celerytrail.{table} LIMIT 1".encode())
        checkpointer.execute(SIGNED)
        row = checkpointer.execute(
            "SELECT recorded_by, note FROM celerytrail.checkpoints"
        ).fetchone()
    assert row == ("celerytrail_checkpointer", "a note")
    refused = [
        APPEND,
        RECORD,
        "SELECT name FROM celerytrail.principals",
        "SELECT token_hash FROM celerytrail.tokens",
        "SELECT body FROM celerytrail.payloads",
        "SELECT state FROM celerytrail.tasks",
        "SELECT * FROM celerytrail_views.checkpoints",
        "SELECT celerytrail_admin.restore_roles()",
    ]
    assert ledger_database.not_refused("checkpointer", refused) == []
    for role in ("sink", "actions", "grafana", "verifier", "maintainer"):
        assert ledger_database.not_refused(role, [SIGNED]) == []


def test_old_checkpoints_go_and_the_newest_signed_one_stays(
    ledger_database: LedgerDatabase,
) -> None:
    with ledger_database.connect("checkpointer") as checkpointer:
        for statement in (SIGNED, SIGNED, REFUSED, REFUSED):
            checkpointer.execute(statement)
    with ledger_database.connect() as superuser:
        superuser.execute(
            "UPDATE celerytrail.checkpoints SET recorded_at = recorded_at - interval '1 day' *"
            " CASE WHEN trouble IS NULL OR checkpoint_id = 3 THEN 91 ELSE 89 END"
        )
    with ledger_database.connect("checkpointer") as checkpointer:
        checkpointer.execute(REFUSED)
        kept = checkpointer.execute(
            "SELECT checkpoint_id FROM celerytrail.checkpoints ORDER BY 1"
        ).fetchall()
    assert kept == [(2,), (4,), (5,)]


def test_grafana_sees_how_long_checkpoints_are_silent(ledger_database: LedgerDatabase) -> None:
    silence = "SELECT seconds_silent, epoch, trouble FROM celerytrail_views.checkpoint_silence"
    with ledger_database.connect("grafana") as grafana:
        assert grafana.execute(silence).fetchall() == [(None, None, None)]
    with ledger_database.connect("checkpointer") as checkpointer:
        checkpointer.execute(SIGNED)
        checkpointer.execute(REFUSED)
    with ledger_database.connect() as superuser:
        superuser.execute(
            "UPDATE celerytrail.checkpoints SET recorded_at = recorded_at - interval '1 hour'"
            " WHERE note IS NOT NULL"
        )
    with ledger_database.connect("grafana") as grafana:
        ((seconds, epoch, trouble),) = grafana.execute(silence).fetchall()
    assert seconds >= 3600
    assert (epoch, trouble) == (1, "a lower n")


def test_the_action_api_appends_actions_and_nothing_else(ledger_database: LedgerDatabase) -> None:
    ledger_database.write_honest_batches()
    with ledger_database.connect("actions") as actions:
        actions.execute(APPEND)
        row = actions.execute("SELECT actor, recorded_by FROM celerytrail.actions").fetchone()
    assert row == ("alice", "celerytrail_actions")
    refused = [
        "SELECT celerytrail.ensure_partitions(now()::date, now()::date)",
        "SELECT nextval('celerytrail.batch_seq')",
        "SELECT celerytrail_admin.restore_roles()",
        "SELECT token_hash FROM celerytrail.tokens",
    ]
    assert ledger_database.not_refused("actions", refused) == []
    for role in ("sink", "verifier", "maintainer", "grafana"):
        assert ledger_database.not_refused(role, [APPEND]) == []
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_actions_of_several_statements_are_chained(ledger_database: LedgerDatabase) -> None:
    with ledger_database.connect("actions") as actions, actions.transaction():
        actions.execute(APPEND)
        with actions.transaction(force_rollback=True):
            actions.execute(APPEND)
        actions.execute(APPEND)
    assert ledger_database.value("SELECT n FROM celerytrail.chain_head") == 2
    ledger_database.assert_clean()


def test_the_maintainer_sees_no_row(ledger_database: LedgerDatabase) -> None:
    ledger_database.write_honest_batches()
    queries = [
        f"SELECT * FROM {relation}"
        for relation in relations(ledger_database)
        if relation not in ("celerytrail.migrations", "celerytrail.steps")
    ]
    queries += ["SELECT * FROM celerytrail_views.payloads", "SELECT rolpassword FROM pg_authid"]
    assert ledger_database.not_refused("maintainer", queries) == []


def test_the_maintainers_bounds_are_bounded(ledger_database: LedgerDatabase) -> None:
    """Its own password is no way to end everybody's sessions, or to erase young payloads."""
    with (
        ledger_database.connect("sink") as sink,
        ledger_database.connect("grafana") as grafana,
        ledger_database.connect("maintainer") as maintainer,
    ):
        sink.execute("BEGIN")
        grafana.execute("SELECT 1")
        watched = maintainer.execute(
            "SELECT * FROM celerytrail.watch_sessions('-1 day', '-1 day', '-1 day')"
        ).fetchall()
        assert watched == []
        for function in ("seal_spans", "link_block", "create_partition", "add_quarantine"):
            with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)):
                maintainer.execute(f"SELECT celerytrail.{function}()".encode())


def test_nobody_but_the_migrator_can_change_what_restores_roles(
    ledger_database: LedgerDatabase,
) -> None:
    """Not the owner of the ledger either, whose functions others call."""
    statements = [
        "INSERT INTO celerytrail_admin.role_settings VALUES ('celerytrail_sink', 'work_mem', '1GB')",
        "UPDATE celerytrail_admin.role_logins SET verifier = 'SCRAM-SHA-256$x'",
        "ALTER FUNCTION celerytrail_admin.restore_roles() OWNER TO celerytrail_owner",
        "DROP SCHEMA celerytrail_admin CASCADE",
        "CREATE TABLE celerytrail_admin.t (a int)",
        "SELECT celerytrail_admin.restore_roles()",
    ]
    done = []
    for statement in statements:
        with ledger_database.connect() as superuser:
            superuser.execute("SET ROLE celerytrail_owner")
            try:
                with superuser.transaction(force_rollback=True):
                    superuser.execute(statement.encode())
            except errors.InsufficientPrivilege:
                continue
            done.append(statement)
    assert done == []


def test_the_owner_cannot_log_in(ledger_database: LedgerDatabase) -> None:
    assert not ledger_database.value(
        "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'celerytrail_owner'"
    )


def test_migrating_again_changes_no_right(ledger_database: LedgerDatabase) -> None:
    rights = (
        "SELECT md5(string_agg(concat_ws(' ', oid::regclass, relacl::text), E'\\n' ORDER BY oid))"
        " FROM pg_class WHERE relacl IS NOT NULL"
    )
    before = ledger_database.value(rights)
    assert migrate(ledger_database.dsn()).applied == ()
    assert ledger_database.value(rights) == before


@pytest.mark.parametrize("role", LOGINS)
def test_a_role_can_log_in_to_the_ledger(ledger_database: LedgerDatabase, role: str) -> None:
    with psycopg.connect(ledger_database.dsn(role)) as connection:
        assert connection.execute("SELECT session_user::text").fetchone() == (
            f"celerytrail_{role}",
        )


def test_rows_written_beside_all_of_this_are_verified(ledger_database: LedgerDatabase) -> None:
    """The order of kinds in one chain: spans, an action, spans."""
    with ledger_database.ledger() as ledger, ledger_database.connect("actions") as actions:
        ledger.write_spans(ledger_database.token, span_rows(2))
        actions.execute(APPEND)
        ledger.write_spans(ledger_database.token, span_rows(2))
    with ledger_database.connect() as superuser:
        kinds = superuser.execute(
            "SELECT b.kind FROM celerytrail.chain c JOIN celerytrail.blocks b USING (batch_id)"
            " ORDER BY c.n"
        ).fetchall()
    assert [kind for (kind,) in kinds] == [1, 2, 1]
    ledger_database.assert_clean()
