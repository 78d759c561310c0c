"""What somebody can do who holds the password of celerytrail_sink: nothing that an honest sink or verifier notices."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.integration.roles.ledger_database import (
    BANK,
    SHOP,
    LedgerDatabase,
    insert_row,
    insert_statement,
    payload,
    span,
    today,
)

pytest_plugins = ["tests.databases"]

LEDGER_TABLES = (
    "ledger",
    "horizon",
    "chain_head",
    "principals",
    "tokens",
    "spans",
    "leaf_groups",
    "blocks",
    "chain",
    "payloads",
    "actions",
    "quarantine",
    "migrations",
    "steps",
)


def test_an_honest_insert_goes_in(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink:
        assert insert_row(sink, span()) == 1
    assert ledger_database.value("SELECT count(*) FROM celerytrail.chain") == 1
    ledger_database.assert_clean()


@pytest.mark.parametrize(
    "chosen",
    [
        {"batch_id": 7},
        {"received_at": "1999-01-01"},
        {"principal_id": 1},
        {"batch_id": 7, "received_at": "1999-01-01", "principal_id": 1},
    ],
    ids=lambda chosen: "+".join(chosen),
)
def test_what_the_database_assigns_cannot_be_chosen(
    ledger_database: LedgerDatabase, chosen: dict[str, object]
) -> None:
    with (
        ledger_database.sink_session() as sink,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        insert_row(sink, {**span(), **chosen})


def test_what_the_database_assigns_cannot_be_copied_in(ledger_database: LedgerDatabase) -> None:
    with (
        ledger_database.sink_session() as sink,
        pytest.raises(errors.InsufficientPrivilege),
        sink.cursor().copy("COPY celerytrail.spans (event_id, batch_id) FROM STDIN") as copy,
    ):
        copy.write_row((uuid.uuid4(), 7))


def test_batch_ids_cannot_be_squatted(ledger_database: LedgerDatabase) -> None:
    refused = 0
    with ledger_database.sink_session() as sink:
        for statement in (
            "SELECT nextval('celerytrail.batch_seq')",
            "SELECT setval('celerytrail.batch_seq', 300)",
            "ALTER SEQUENCE celerytrail.batch_seq RESTART 300",
            "SELECT setval('celerytrail.principal_now', 300)",
            "SELECT setval('celerytrail.chain_now', 3)",
            "SELECT nextval('celerytrail.chain_now')",
            "SELECT nextval('celerytrail.principal_now')",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                sink.execute(statement.encode())
        for batch_id in range(1, 301):
            with contextlib.suppress(errors.InsufficientPrivilege):
                insert_row(sink, {**span(), "batch_id": batch_id})
                continue
            refused += 1
    assert refused == 300
    ledger_database.write_honest_batches(batches=20)
    assert ledger_database.value("SELECT n FROM celerytrail.chain_head") == 20
    ledger_database.assert_clean()


def test_a_ledger_table_cannot_be_changed(ledger_database: LedgerDatabase) -> None:
    statements = []
    for table in LEDGER_TABLES:
        column = ledger_database.value(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND NOT attisdropped ORDER BY attnum DESC LIMIT 1",
            f"celerytrail.{table}",
        )
        statements += [
            f"UPDATE celerytrail.{table} SET {column} = DEFAULT",
            f"DELETE FROM celerytrail.{table}",
            f"TRUNCATE celerytrail.{table}",
            f"ALTER TABLE celerytrail.{table} DISABLE TRIGGER ALL",
            f"DROP TABLE celerytrail.{table}",
            f"LOCK TABLE celerytrail.{table} IN ACCESS EXCLUSIVE MODE",
        ]
    assert ledger_database.not_refused("sink", statements) == []


def test_secrets_and_user_data_cannot_be_read(ledger_database: LedgerDatabase) -> None:
    queries = [
        "SELECT * FROM celerytrail.tokens",
        "SELECT token_hash FROM celerytrail.tokens",
        "SELECT * FROM celerytrail.principals",
        "SELECT body FROM celerytrail.payloads",
        "SELECT salt FROM celerytrail.payloads",
        "SELECT item FROM celerytrail.quarantine",
        "SELECT attributes FROM celerytrail.spans",
        "SELECT * FROM celerytrail.actions",
        "SELECT * FROM celerytrail_admin.role_logins",
        "SELECT rolpassword FROM pg_authid",
        "COPY celerytrail.tokens TO STDOUT",
        "SELECT * FROM celerytrail_views.payloads",
    ]
    assert ledger_database.not_refused("sink", queries) == []


def test_what_is_not_the_sinks_is_refused(ledger_database: LedgerDatabase) -> None:
    statements = [
        "INSERT INTO celerytrail.actions (action_id, verb) VALUES (gen_random_uuid(), 'purge')",
        "SELECT celerytrail.append_action(gen_random_uuid(), 'done', 'purge', 'alice', 'user')",
        "SELECT celerytrail.seal_spans()",
        "SELECT celerytrail.seal_actions()",
        "SELECT celerytrail.link_block()",
        "SELECT celerytrail.next_batch()",
        "SELECT celerytrail.create_partition('spans', 'mine', '2030-01-01')",
        "SELECT celerytrail_admin.restore_roles()",
        "SELECT celerytrail_admin.set_role_password('celerytrail_grafana', 'SCRAM-SHA-256$x')",
        "SELECT celerytrail.collect_orphans('unclaimed', '0', 100)",
        "SELECT celerytrail.watch_sessions('0', '0', '0')",
        "INSERT INTO celerytrail.blocks VALUES (1, 0, 1, 1, 1, '{}', '{}', '{}', '', 'x', now())",
        "INSERT INTO celerytrail.chain VALUES (0, 1, 1, '', '', now())",
        "INSERT INTO celerytrail.leaf_groups VALUES (1, now()::date, 1, '', '')",
        "INSERT INTO celerytrail.tokens (token_hash, principal_id) VALUES (sha256('x'), 1)",
        "CREATE TABLE celerytrail.spans_20300101 (LIKE celerytrail.spans)",
        "CREATE TABLE celerytrail.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE TRIGGER t BEFORE INSERT ON celerytrail.spans EXECUTE FUNCTION celerytrail.forbid()",
        "CREATE RULE r AS ON INSERT TO celerytrail.spans DO INSTEAD NOTHING",
        "CREATE POLICY p ON celerytrail.spans",
        "SET session_replication_role = replica",
        "SET ROLE celerytrail_owner",
        "SET SESSION AUTHORIZATION celerytrail_owner",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "DO $$ BEGIN PERFORM 1; END $$",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/hostname')",
        "ALTER ROLE celerytrail_sink SUPERUSER",
        "ALTER ROLE celerytrail_grafana PASSWORD 'x'",
        "ALTER FUNCTION celerytrail.seal_spans() OWNER TO celerytrail_sink",
    ]
    assert ledger_database.not_refused("sink", statements) == []


def test_the_sink_cannot_give_rights_away(ledger_database: LedgerDatabase) -> None:
    with ledger_database.connect("sink") as sink:
        with pytest.raises(errors.InsufficientPrivilege):
            sink.execute("GRANT SELECT ON celerytrail.spans TO PUBLIC")
        with pytest.raises(errors.InsufficientPrivilege):
            sink.execute("DROP OWNED BY celerytrail_sink")
    assert not ledger_database.value(
        "SELECT has_table_privilege('public', 'celerytrail.spans', 'SELECT')"
    )
    ledger_database.write_honest_batches()


def test_a_partition_cannot_be_written_directly(ledger_database: LedgerDatabase) -> None:
    for partition in (f"spans_{today():%Y%m%d}", "spans_before_all", "spans_after_all"):
        with (
            ledger_database.sink_session() as sink,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            insert_row(sink, span(), table=f"celerytrail.{partition}")


def test_a_table_of_its_own_cannot_become_a_partition(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink:
        sink.execute("CREATE TEMPORARY TABLE mine (event_id uuid, day date)")
        for statement in (
            "ALTER TABLE celerytrail.spans ATTACH PARTITION pg_temp.mine FOR VALUES IN ('2030-01-01')",
            "ALTER TABLE pg_temp.mine INHERIT celerytrail.spans",
            "CREATE TEMPORARY TABLE theirs PARTITION OF celerytrail.spans FOR VALUES IN ('2030-01-01')",
        ):
            with pytest.raises((errors.InsufficientPrivilege, errors.WrongObjectType)):
                sink.execute(statement.encode())
    assert ledger_database.value("SELECT to_regclass('celerytrail.spans_20300101')") is None


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2030-01-01", "2030-07-01"),
        ("10000-01-01", "10000-01-02"),
        ("1999-01-01", "1999-01-02"),
        ("-infinity", "infinity"),
    ],
)
def test_partitions_are_made_inside_the_window_only(
    ledger_database: LedgerDatabase, first: str, last: str
) -> None:
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'celerytrail.spans'::regclass"
    before = ledger_database.value(count)
    with ledger_database.connect("sink") as sink, pytest.raises(psycopg.Error, match="window"):
        sink.execute("SELECT celerytrail.ensure_partitions(%s::date, %s::date)", (first, last))
    assert ledger_database.value(count) == before


def test_an_event_id_twice_in_one_batch_is_refused(ledger_database: LedgerDatabase) -> None:
    event_id = uuid.uuid4()
    one, other = span(1, event_id=event_id), span(2, event_id=event_id)
    columns = ", ".join(one)
    marks = ", ".join(["%s"] * len(one))
    statement = f"INSERT INTO celerytrail.spans ({columns}) VALUES ({marks}), ({marks})".encode()
    with ledger_database.sink_session() as sink:
        with pytest.raises(errors.UniqueViolation):
            sink.execute(statement, [*one.values(), *other.values()])
        assert (
            sink.execute(
                statement + b" ON CONFLICT DO NOTHING", [*one.values(), *other.values()]
            ).rowcount
            == 1
        )
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_a_stored_row_cannot_be_overwritten_by_a_conflict(ledger_database: LedgerDatabase) -> None:
    values = span()
    with ledger_database.sink_session() as sink:
        insert_row(sink, values)
        with pytest.raises(errors.InsufficientPrivilege):
            insert_row(
                sink,
                {**values, "task_name": "forged"},
                tail="ON CONFLICT (event_id, day) DO UPDATE SET task_name = excluded.task_name",
            )
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_statements_below_savepoints_are_chained_as_they_are_kept(
    ledger_database: LedgerDatabase,
) -> None:
    with ledger_database.sink_session() as sink, sink.transaction():
        insert_row(sink, span(1))
        sink.execute("SAVEPOINT kept")
        insert_row(sink, span(2))
        sink.execute("RELEASE SAVEPOINT kept")
        sink.execute("SAVEPOINT undone")
        insert_row(sink, span(3))
        sink.execute("ROLLBACK TO SAVEPOINT undone")
        insert_row(sink, span(4))
    assert ledger_database.value("SELECT count(*) FROM celerytrail.spans") == 3
    assert ledger_database.value("SELECT n FROM celerytrail.chain_head") == 3
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_a_transaction_rolled_back_leaves_no_hole(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink:
        for number in range(4):
            with sink.transaction(force_rollback=number % 2 == 0):
                insert_row(sink, span(number + 1))
                insert_row(sink, span(number + 1))
    assert ledger_database.value("SELECT n FROM celerytrail.chain_head") == 4
    ledger_database.assert_clean()


def test_two_inserts_in_one_statement_are_one_batch(ledger_database: LedgerDatabase) -> None:
    first, first_values = insert_statement(span(1))
    second, second_values = insert_statement(span(2))
    with ledger_database.sink_session() as sink:
        sink.execute(f"WITH a AS ({first}) {second}".encode(), [*first_values, *second_values])
    assert ledger_database.value("SELECT cnt FROM celerytrail.blocks") == 2
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_merge_is_chained(ledger_database: LedgerDatabase) -> None:
    values = span()
    marks = ", ".join(["%s"] * len(values))
    with ledger_database.sink_session() as sink:
        sink.execute(
            f"MERGE INTO celerytrail.spans s USING (SELECT 1) AS one ON false WHEN NOT MATCHED"
            f" THEN INSERT ({', '.join(values)}) VALUES ({marks})".encode(),
            list(values.values()),
        )
    assert ledger_database.value("SELECT n FROM celerytrail.chain_head") == 1
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_constraints_made_immediate_chain_right(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink, sink.transaction():
        sink.execute("SET CONSTRAINTS ALL IMMEDIATE")
        insert_row(sink, span(1))
        insert_row(sink, span(2))
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_another_encoding_is_refused(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink:
        sink.execute("SET client_encoding = 'LATIN1'")
        with pytest.raises(psycopg.Error, match="client_encoding"):
            insert_row(sink, span(task_name="caf\u00e9"))
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_odd_settings_change_no_hash(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink:
        for setting in (
            "timezone = 'Asia/Kathmandu'",
            "datestyle = 'SQL, DMY'",
            "extra_float_digits = -15",
            "bytea_output = 'escape'",
            "intervalstyle = 'sql_standard'",
            "enable_hashagg = off",
        ):
            sink.execute(f"SET {setting}".encode())
        insert_row(sink, span(event_time="2026-07-01T00:30:00+05:45", day="-infinity"))
    ledger_database.assert_clean()


def test_temporary_objects_shadow_nothing(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink:
        for name in (
            "new_rows",
            "spans",
            "blocks",
            "chain_head",
            "principals",
            "ledger",
            "pg_class",
        ):
            sink.execute(f"CREATE TEMPORARY TABLE {name} (day date, chain int4, n int8)".encode())
        sink.execute("SET search_path = pg_temp, celerytrail, pg_catalog")
        assert insert_row(sink, span()) == 1
    assert ledger_database.value("SELECT count(*) FROM celerytrail.spans") == 1
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_operators_and_functions_of_its_own_shadow_nothing(ledger_database: LedgerDatabase) -> None:
    made = []
    with ledger_database.sink_session() as sink:
        for statement in (
            "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'",
            "CREATE FUNCTION pg_temp.differ(int8, int8) RETURNS bool LANGUAGE sql AS $$ SELECT false $$",
            "CREATE OPERATOR pg_temp.<> (FUNCTION = pg_temp.differ, LEFTARG = int8, RIGHTARG = int8)",
            "CREATE FUNCTION pg_temp.joined(bytea, bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'",
            "CREATE OPERATOR pg_temp.|| (FUNCTION = pg_temp.joined, LEFTARG = bytea, RIGHTARG = bytea)",
        ):
            with contextlib.suppress(errors.InsufficientPrivilege):
                sink.execute(statement.encode())
                made.append(statement)
        sink.execute("SET search_path = pg_temp, pg_catalog")
        insert_row(sink, span())
    assert made, "the attack was not made"
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_a_token_that_is_not_known_opens_nothing(ledger_database: LedgerDatabase) -> None:
    with ledger_database.connect("sink") as sink:
        with pytest.raises(psycopg.Error, match="unknown"):
            sink.execute(
                "SELECT celerytrail.authenticate(%s)", (hashlib.sha256(b"guess").digest(),)
            )
        with pytest.raises(psycopg.Error):
            insert_row(sink, span())
    assert ledger_database.value("SELECT count(*) FROM celerytrail.spans") == 0


def test_a_token_of_one_deployment_writes_no_event_of_another(
    ledger_database: LedgerDatabase,
) -> None:
    foreign = {
        "namespace": BANK.namespace,
        "service": BANK.service,
        "environment": BANK.environment,
    }
    with ledger_database.sink_session() as sink:
        with pytest.raises(psycopg.Error, match="deployment"):
            insert_row(sink, span(1, **foreign))
        item = payload("task-1", **foreign)
        with pytest.raises(psycopg.Error, match="deployment"):
            insert_row(sink, item, table="celerytrail.payloads")
        # The same rows go in for whom they belong to.
        sink.execute("SELECT celerytrail.authenticate(%s)", (ledger_database.new_token(BANK),))
        assert insert_row(sink, span(1, **foreign)) == 1
        assert insert_row(sink, item, table="celerytrail.payloads") == 1
        with pytest.raises(psycopg.Error, match="deployment"):
            insert_row(sink, span(2))
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()


def test_a_session_outlives_its_token_by_no_statement(ledger_database: LedgerDatabase) -> None:
    with ledger_database.sink_session() as sink:
        insert_row(sink, span(1))
        ledger_database.run("UPDATE celerytrail.tokens SET revoked_at = now()")
        with pytest.raises(psycopg.Error, match="no valid token"):
            insert_row(sink, span(2))
        item = payload("task-1")
        with pytest.raises(psycopg.Error, match="no valid token"):
            insert_row(sink, item, table="celerytrail.payloads")
    ledger_database.assert_clean()


def test_events_with_an_impossible_clock_are_verified_like_others(
    ledger_database: LedgerDatabase,
) -> None:
    with ledger_database.sink_session() as sink:
        insert_row(sink, span(1, day="-infinity", event_time="1970-01-01T00:00:00Z"))
        insert_row(sink, span(2, day="infinity", event_time="9999-12-31T00:00:00Z"))
        with pytest.raises(errors.CheckViolation):
            insert_row(sink, span(3, day=today(), event_time="1970-01-01T00:00:00Z"))
    ledger_database.assert_clean()


def test_a_payload_that_is_stored_cannot_be_changed(ledger_database: LedgerDatabase) -> None:
    item = payload("task-1")
    with ledger_database.sink_session() as sink:
        insert_row(sink, item, table="celerytrail.payloads")
        for statement in (
            "UPDATE celerytrail.payloads SET body = 'x'",
            "DELETE FROM celerytrail.payloads",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                sink.execute(statement.encode())
        again = insert_row(
            sink,
            {**item, "body": b"forged"},
            table="celerytrail.payloads",
            tail="ON CONFLICT DO NOTHING",
        )
        assert again == 0
    assert ledger_database.value("SELECT body FROM celerytrail.payloads") == item["body"]


def test_nobody_waits_for_a_sink_that_stops_in_its_transaction(
    ledger_database: LedgerDatabase,
) -> None:
    with ledger_database.sink_session() as sink:
        with sink.transaction():
            insert_row(sink, span(1))
            # Its block is linked at COMMIT only, so the head of the chain is free.
            ledger_database.write_honest_batches()
        assert ledger_database.value("SELECT n FROM celerytrail.chain_head") == 4
    ledger_database.assert_clean()


def test_the_read_model_can_be_lied_to_but_not_the_chain(ledger_database: LedgerDatabase) -> None:
    """Said in the README's claim: dashboards show a derived model."""
    ledger_database.write_honest_batches()
    with ledger_database.connect("sink") as sink:
        changed: Any = sink.execute("UPDATE celerytrail.tasks SET state = 'failed'").rowcount
        assert changed
        for table in ("tasks", "runs", "groups", "streams", "workers"):
            with pytest.raises(errors.InsufficientPrivilege):
                sink.execute(f"DELETE FROM celerytrail.{table}".encode())
    ledger_database.write_honest_batches()
    ledger_database.assert_clean()
    assert (
        ledger_database.value(
            "SELECT count(*) FROM celerytrail.spans WHERE service = %s", SHOP.service
        )
        == 24
    )
