"""No setting of its session gives the sink's role a right: what is refused stays refused, whatever it sets."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.integration.roles.ledger_database import LedgerDatabase, insert_row, span, today

pytest_plugins = ["tests.databases"]

SETTINGS = [
    "search_path = pg_temp, celerytrail, celerytrail_admin, pg_catalog",
    "row_security = off",
    "client_encoding = 'SQL_ASCII'",
    "client_encoding = 'LATIN1'",
    "check_function_bodies = off",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = off",
    "default_transaction_deferrable = on",
    "synchronous_commit = off",
    "transform_null_equals = on",
    "array_nulls = off",
    "escape_string_warning = off",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
    "lo_compat_privileges = on",
    "session_replication_role = replica",
    "session_preload_libraries = 'auto_explain'",
    "allow_system_table_mods = on",
    "zero_damaged_pages = on",
    "ignore_system_indexes = on",
    "role = celerytrail_owner",
    "role = celerytrail_maintainer",
    "session_authorization = celerytrail_owner",
    "session_authorization = postgres",
    "is_superuser = on",
    "celerytrail.is_owner = on",
    "timezone = 'Asia/Kathmandu'",
    "plan_cache_mode = force_generic_plan",
    "xmloption = document",
    "default_table_access_method = heap",
]
FORBIDDEN = [
    "UPDATE celerytrail.spans SET queue = 'x'",
    "DELETE FROM celerytrail.spans",
    "TRUNCATE celerytrail.spans",
    "SELECT * FROM celerytrail.spans",
    "SELECT attributes FROM celerytrail.spans_{day}",
    "INSERT INTO celerytrail.spans_{day} DEFAULT VALUES",
    "INSERT INTO celerytrail.spans (batch_id) VALUES (1)",
    "INSERT INTO celerytrail.spans (received_at) VALUES (now())",
    "INSERT INTO celerytrail.spans (principal_id) VALUES (1)",
    "INSERT INTO celerytrail.blocks DEFAULT VALUES",
    "INSERT INTO celerytrail.chain DEFAULT VALUES",
    "INSERT INTO celerytrail.leaf_groups DEFAULT VALUES",
    "INSERT INTO celerytrail.actions DEFAULT VALUES",
    "UPDATE celerytrail.chain_head SET n = 0",
    "DELETE FROM celerytrail.chain_head",
    "UPDATE celerytrail.ledger SET ledger_id = gen_random_uuid()",
    "UPDATE celerytrail.horizon SET retained_from = 'infinity'",
    "UPDATE celerytrail.steps SET state = 'lost'",
    "SELECT * FROM celerytrail.tokens",
    "SELECT salt FROM celerytrail.payloads",
    "ALTER TABLE celerytrail.spans DISABLE TRIGGER seal",
    "ALTER TABLE celerytrail.spans DETACH PARTITION celerytrail.spans_{day}",
    "DROP TABLE celerytrail.spans_{day}",
    "SELECT celerytrail.seal_spans()",
    "SELECT celerytrail.link_block()",
    "SELECT setval('celerytrail.batch_seq', 1)",
    "SELECT celerytrail.record_verification('full', 0, 0, 9, sha256(''), 'ok', NULL, 0, 0, true)",
    "SELECT celerytrail.append_action(gen_random_uuid(), 'done', 'purge', 'alice', 'user')",
    "SELECT celerytrail_admin.restore_roles()",
    "CREATE TRIGGER t BEFORE INSERT ON celerytrail.spans EXECUTE FUNCTION celerytrail.forbid()",
    "GRANT ALL ON celerytrail.spans TO celerytrail_sink",
]
HONEST = (
    "client_encoding must be UTF8",
    # The body of the seal cannot be read in a session where a backslash in a literal escapes.
    'invalid byte sequence for encoding "UTF8": 0x00',
)
REFUSED = (errors.InsufficientPrivilege, errors.WrongObjectType)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_opens_nothing(ledger_database: LedgerDatabase, setting: str) -> None:
    ledger_database.write_honest_batches(batches=1)
    done = []
    with ledger_database.sink_session() as sink:
        try:
            sink.execute(f"SET {setting}".encode())
        except psycopg.Error:
            # A setting that the role may not change is refused by itself.
            assert sink.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        for statement in FORBIDDEN:
            try:
                with sink.transaction(force_rollback=True):
                    sink.execute(statement.format(day=f"{today():%Y%m%d}").encode())
            except REFUSED:
                continue
            except psycopg.Error as error:
                done.append(f"{statement}: {error}")
            else:
                done.append(statement)
        assert done == []
        # What the role may do is chained as ever, or refused.
        try:
            insert_row(sink, span(task_name="shop.pay"))
        except psycopg.Error as error:
            assert any(reason in str(error) for reason in HONEST), error  # noqa: PT017
    ledger_database.write_honest_batches(batches=1)
    ledger_database.assert_clean()


@pytest.mark.parametrize(
    "setting", ["standard_conforming_strings = off", "bytea_output = 'escape'"]
)
def test_a_setting_of_the_database_makes_the_sink_refuse_no_row(
    ledger_database: LedgerDatabase, setting: str
) -> None:
    """A row that is refused for good is gone for its sender."""
    ledger_database.run(f"ALTER DATABASE {ledger_database.name} SET {setting}")
    ledger_database.write_honest_batches(batches=1)
    ledger_database.run(f"ALTER DATABASE {ledger_database.name} RESET ALL")
    assert ledger_database.value("SELECT count(*) FROM celerytrail.quarantine") == 0
    ledger_database.assert_clean()
