"""The fingerprint of the catalog names what was changed around the ledger, on every server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.write_catalog import ADMINISTRATOR, fresh_database
from celerytrail.sql.catalog import catalog_differences
from celerytrail.sql.migrate import migrate
from celerytrail.sql.verification import Fault, Verdict
from tests.chain.chained_ledger import TODAY, ChainedLedger
from tests.postgres_majors import MAJORS, bin_dir_of

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

DAY = TODAY.replace("-", "")
CHANGES = {
    "trigger off": (
        "ALTER TABLE celerytrail.spans DISABLE TRIGGER seal",
        "changed trigger seal on celerytrail.spans",
    ),
    "trigger no longer always": (
        "ALTER TABLE celerytrail.blocks ENABLE TRIGGER link",
        "changed trigger link on celerytrail.blocks",
    ),
    "trigger off on one partition": (
        f"ALTER TABLE celerytrail.spans_{DAY} DISABLE TRIGGER forbid_change",
        f"changed trigger forbid_change on celerytrail.spans_{DAY}",
    ),
    "trigger dropped": (
        "DROP TRIGGER seal ON celerytrail.spans",
        "missing trigger seal on celerytrail.spans",
    ),
    "trigger of a partition dropped": (
        f"DROP TRIGGER forbid_truncate ON celerytrail.leaf_groups_{DAY}",
        f"missing trigger forbid_truncate on celerytrail.leaf_groups_{DAY}",
    ),
    "row trigger": (
        (
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER swallow BEFORE INSERT ON celerytrail.actions"
            " FOR EACH ROW EXECUTE FUNCTION public.swallow()"
        ),
        "added trigger swallow on celerytrail.actions",
    ),
    "function": (
        (
            "CREATE OR REPLACE FUNCTION celerytrail.seal_spans() RETURNS trigger LANGUAGE plpgsql"
            " SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'"
        ),
        "changed function celerytrail.seal_spans()",
    ),
    "function owner": (
        "ALTER FUNCTION celerytrail.seal_spans() OWNER TO celerytrail_sink",
        "changed function celerytrail.seal_spans()",
    ),
    "function rights": (
        "GRANT EXECUTE ON FUNCTION celerytrail.seal_spans() TO celerytrail_grafana",
        "changed function celerytrail.seal_spans()",
    ),
    "search path of a function": (
        "ALTER FUNCTION celerytrail.seal_spans() RESET search_path",
        "changed function celerytrail.seal_spans()",
    ),
    "new function": (
        "CREATE FUNCTION celerytrail.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'",
        "added function celerytrail.sha256()",
    ),
    "new function among those of Postgres": (
        (
            "SET allow_system_table_mods = on;"
            "CREATE FUNCTION pg_catalog.record_send(celerytrail.spans) RETURNS bytea LANGUAGE sql"
            " AS 'SELECT ''''::bytea'"
        ),
        "added function pg_catalog.record_send(celerytrail.spans)",
    ),
    "function of Postgres": (
        "UPDATE pg_proc SET prosrc = 'md5_bytea' WHERE proname = 'sha256'",
        "changed function pg_catalog.sha256(bytea)",
    ),
    "rule": (
        "CREATE RULE swallow AS ON INSERT TO celerytrail.actions DO INSTEAD NOTHING",
        "added rule swallow on celerytrail.actions",
    ),
    "policy": (
        "CREATE POLICY hide ON celerytrail.spans TO celerytrail_verifier USING (pid <> 17)",
        "added policy hide on celerytrail.spans",
    ),
    "row security": (
        "ALTER TABLE celerytrail.spans ENABLE ROW LEVEL SECURITY",
        "changed table celerytrail.spans",
    ),
    "view": (
        (
            "CREATE OR REPLACE VIEW celerytrail_views.workers WITH (security_barrier = true) AS"
            " SELECT namespace, service, environment, worker, 'online'::text AS state, seen_at, host,"
            " pid, concurrency, pool, queues, celery_version, ready_at FROM celerytrail.workers"
        ),
        "changed view celerytrail_views.workers",
    ),
    "default": (
        "ALTER TABLE celerytrail.spans ALTER received_at SET DEFAULT '1999-01-01'",
        "changed column celerytrail.spans.received_at",
    ),
    "right on a column": (
        "GRANT INSERT (received_at) ON celerytrail.spans TO celerytrail_sink",
        "changed column celerytrail.spans.received_at",
    ),
    "right on a table": (
        "GRANT DELETE ON celerytrail.chain TO celerytrail_sink",
        "changed table celerytrail.chain",
    ),
    "right on a partition": (
        f"GRANT INSERT ON celerytrail.spans_{DAY} TO celerytrail_sink",
        f"changed table celerytrail.spans_{DAY}",
    ),
    "right on a sequence": (
        "GRANT UPDATE ON SEQUENCE celerytrail.principal_now TO celerytrail_sink",
        "changed sequence celerytrail.principal_now",
    ),
    "owner": (
        "ALTER TABLE celerytrail.chain OWNER TO celerytrail_sink",
        "changed table celerytrail.chain",
    ),
    "partition detached": (
        f"ALTER TABLE celerytrail.spans DETACH PARTITION celerytrail.spans_{DAY}",
        f"changed table celerytrail.spans_{DAY}",
    ),
    "partition elsewhere": (
        "CREATE TABLE public.rest PARTITION OF celerytrail.spans DEFAULT",
        "added table public.rest",
    ),
    "table below": (
        "CREATE TABLE public.more () INHERITS (celerytrail.chain)",
        "added table public.more",
    ),
    "statistics of user data": (
        f"ALTER TABLE celerytrail.payloads_{DAY} ALTER COLUMN body SET STATISTICS 100",
        f"changed columns of celerytrail.payloads_{DAY}",
    ),
    "statistics of several columns": (
        "CREATE STATISTICS celerytrail.both ON kind, excerpt FROM celerytrail.searchable",
        "added statistics celerytrail.both",
    ),
    "index": ("DROP INDEX celerytrail.spans_event", "missing index celerytrail.spans_event"),
    "constraint": (
        "ALTER TABLE celerytrail.spans DROP CONSTRAINT spans_day",
        "missing constraint celerytrail.spans.spans_day",
    ),
    "foreign key off": (
        "ALTER TABLE celerytrail.tokens DISABLE TRIGGER ALL",
        "changed constraint celerytrail.tokens.tokens_principal_id_fkey",
    ),
    "new table": (
        "CREATE TABLE celerytrail.spans_shadow (LIKE celerytrail.spans)",
        "added table celerytrail.spans_shadow",
    ),
    "new schema": ("CREATE SCHEMA celerytrail_shadow", "added schema celerytrail_shadow"),
    "storage option": (
        "ALTER TABLE celerytrail.chain_head SET (fillfactor = 100)",
        "changed table celerytrail.chain_head",
    ),
    "role": ("ALTER ROLE celerytrail_sink BYPASSRLS", "changed role celerytrail_sink"),
    "membership": (
        "GRANT celerytrail_maintainer TO celerytrail_grafana",
        "changed role celerytrail_maintainer",
    ),
    "setting of a role": (
        "ALTER ROLE celerytrail_verifier SET row_security = off",
        "changed role celerytrail_verifier",
    ),
    "meaning of a step": (
        "UPDATE celerytrail.steps SET state = 'succeeded' WHERE step = 'failed'",
        "changed row 14 of celerytrail.steps",
    ),
    "step more": (
        "INSERT INTO celerytrail.steps VALUES ('x', 99, 'task', 99, 'succeeded', true, 'task-x')",
        "added row 99 of celerytrail.steps",
    ),
    "step less": (
        "DELETE FROM celerytrail.steps WHERE step = 'lost'",
        "missing row 5 of celerytrail.steps",
    ),
    "steps gone": ("DROP TABLE celerytrail.steps CASCADE", "missing table celerytrail.steps"),
    "migration": (
        "INSERT INTO celerytrail.migrations (id, name, sha256) VALUES (9999, '9999_more', '')",
        "added migration 9999_more",
    ),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_each_change_is_named(migrated: MigratedDatabase, change: str):
    statement, named = CHANGES[change]
    with migrated.connect(autocommit=False) as connection:
        assert catalog_differences(connection) == []
        connection.execute("SET LOCAL client_min_messages = error")
        connection.execute(statement.encode())
        found = catalog_differences(connection)
        connection.rollback()
        assert catalog_differences(connection) == []
    assert any(difference.startswith(named.removesuffix(")")) for difference in found), found


@pytest.mark.parametrize("role", ["sink", "verifier", "maintainer", "actions"])
def test_every_role_that_guards_can_ask(migrated: MigratedDatabase, role: str):
    with migrated.connect(role) as connection:
        assert catalog_differences(connection) == []


def test_asking_leaves_the_session_as_it_was(migrated: MigratedDatabase):
    settings = "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY 1"
    with migrated.connect(autocommit=False) as connection:
        connection.execute("SET timezone = 'Asia/Kolkata'")
        before = connection.execute(settings).fetchall()
        assert catalog_differences(connection) == []
        assert connection.execute(settings).fetchall() == before


def test_days_that_were_dropped_or_made_are_no_difference(migrated: MigratedDatabase):
    with migrated.connect() as connection:
        connection.execute("SELECT celerytrail.ensure_partitions(current_date - 5, current_date)")
        assert catalog_differences(connection) == []
        for table in ("spans", "leaf_groups", "payloads"):
            connection.execute(f"DROP TABLE celerytrail.{table}_{DAY}".encode())
        assert catalog_differences(connection) == []


def test_rows_hidden_from_the_verifier_are_reported_by_both_ways(chained: ChainedLedger):
    chained.database.run(
        "ALTER TABLE celerytrail.spans ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY hide ON celerytrail.spans TO celerytrail_verifier USING (pid <> 17)"
    )
    found = chained.verify()
    assert found.verdict is Verdict.BROKEN
    assert [bad.fault for bad in found.readings[0].bad] == [Fault.HIDDEN]
    assert "added policy hide on celerytrail.spans" in found.catalog


@pytest.mark.parametrize("migrator", ["postgres", ADMINISTRATOR])
@pytest.mark.parametrize("major", MAJORS)
def test_every_server_and_migrator_makes_the_committed_catalog(
    server_directory: Path, major: int, migrator: str
):
    place = server_directory / f"catalog-{major}-{migrator}"
    with EmbeddedPostgres(place, bin_dir=bin_dir_of(major), settings={"fsync": "off"}) as server:
        dsn = fresh_database(server, migrator)
        migrate(dsn)
        with psycopg.connect(dsn) as connection:
            assert catalog_differences(connection) == []
