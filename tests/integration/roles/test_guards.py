"""What a sink and the action API look at before they start: owners, rights and tables that are not as designed."""

from __future__ import annotations

import pytest

from celerytrail.sql.doctor.examination import examine
from celerytrail.sql.doctor.finding import Level
from celerytrail.sql.maintain import Done, maintain_once
from tests.integration.roles.ledger_database import LedgerDatabase, today

pytest_plugins = ["tests.databases"]

SINK = "of celerytrail_sink"
ALTERED = {
    "ALTER TABLE celerytrail.chain OWNER TO celerytrail_verifier": (
        "owner of celerytrail.chain is celerytrail_verifier"
    ),
    "ALTER TABLE celerytrail.horizon OWNER TO celerytrail_sink": (
        "owner of celerytrail.horizon is celerytrail_sink"
    ),
    "ALTER SCHEMA celerytrail OWNER TO celerytrail_sink": (
        "owner of schema celerytrail is celerytrail_sink"
    ),
    "GRANT UPDATE (n, hash) ON celerytrail.chain_head TO celerytrail_sink": (
        f"right to UPDATE celerytrail.chain_head {SINK}"
    ),
    "GRANT UPDATE (queue) ON celerytrail.spans TO celerytrail_sink": (
        f"right to UPDATE celerytrail.spans {SINK}"
    ),
    "GRANT UPDATE ON celerytrail.horizon TO PUBLIC": (
        "right to UPDATE celerytrail.horizon of celerytrail_actions"
    ),
    "GRANT UPDATE ON celerytrail.ledger TO celerytrail_sink": (
        f"right to UPDATE celerytrail.ledger {SINK}"
    ),
    "GRANT DELETE ON celerytrail.erased_tasks TO celerytrail_sink": (
        f"right to DELETE celerytrail.erased_tasks {SINK}"
    ),
    "GRANT DELETE ON celerytrail.spans TO celerytrail_verifier": (
        "right to DELETE celerytrail.spans of celerytrail_verifier"
    ),
    "GRANT INSERT (verb) ON celerytrail.actions TO celerytrail_actions": (
        "right to INSERT celerytrail.actions of celerytrail_actions"
    ),
    "GRANT SELECT (body) ON celerytrail.payloads TO celerytrail_sink": (
        f"right to read celerytrail.payloads.body {SINK}"
    ),
    "GRANT SELECT (salt) ON celerytrail.payloads TO celerytrail_checkpointer": (
        "right to read celerytrail.payloads.salt of celerytrail_checkpointer"
    ),
    "GRANT UPDATE ON SEQUENCE celerytrail.batch_seq TO celerytrail_sink": (
        f"right to UPDATE celerytrail.batch_seq {SINK}"
    ),
    "GRANT CREATE ON SCHEMA celerytrail TO celerytrail_grafana": (
        "right to create in schema celerytrail of celerytrail_grafana"
    ),
    f"GRANT INSERT (queue) ON celerytrail.spans_{today():%Y%m%d} TO celerytrail_sink": (
        f"right to INSERT celerytrail.spans_{today():%Y%m%d} {SINK}"
    ),
    f"GRANT TRUNCATE ON celerytrail.payloads_{today():%Y%m%d} TO celerytrail_actions": (
        f"right to TRUNCATE celerytrail.payloads_{today():%Y%m%d} of celerytrail_actions"
    ),
    "CREATE TABLE public.later PARTITION OF celerytrail.spans FOR VALUES IN ('2031-01-01')": (
        "table public.later below celerytrail.spans"
    ),
    "CREATE TABLE public.rest PARTITION OF celerytrail.payloads DEFAULT": (
        "table public.rest below celerytrail.payloads"
    ),
    (
        "SET ROLE celerytrail_owner;"
        "CREATE TABLE celerytrail.rest PARTITION OF celerytrail.leaf_groups DEFAULT"
    ): "table celerytrail.rest below celerytrail.leaf_groups",
    "CREATE TABLE public.more () INHERITS (celerytrail.actions)": (
        "table public.more below celerytrail.actions"
    ),
}
BEYOND = {
    "ALTER DATABASE {name} OWNER TO celerytrail_sink": "database {name} belongs to celerytrail_sink",
    "GRANT CREATE ON DATABASE {name} TO celerytrail_verifier": (
        "celerytrail_verifier may create in database {name}"
    ),
    "GRANT EXECUTE ON FUNCTION pg_terminate_backend(int, bigint) TO celerytrail_grafana": (
        "celerytrail_grafana may execute pg_terminate_backend(integer,bigint)"
    ),
    "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC": (
        "PUBLIC may execute pg_read_file(text)"
    ),
    "GRANT SET ON PARAMETER session_replication_role TO celerytrail_sink": (
        "celerytrail_sink may set parameter session_replication_role"
    ),
    "GRANT USAGE ON LANGUAGE plpgsql TO celerytrail_grafana": (
        "celerytrail_grafana may use language plpgsql"
    ),
    (
        "CREATE FUNCTION public.forget() RETURNS void LANGUAGE sql SECURITY DEFINER AS"
        " 'DELETE FROM celerytrail.erased_tasks';"
        "REVOKE EXECUTE ON FUNCTION public.forget() FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION public.forget() TO celerytrail_actions, celerytrail_sink"
    ): "celerytrail_actions, celerytrail_sink may execute forget(), which acts as postgres",
    (
        "CREATE FUNCTION public.look() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER look ON ddl_command_end EXECUTE FUNCTION public.look()"
    ): "event trigger look runs look() when the ledger makes or drops a partition",
}
OF_THE_SERVER = "REVOKE SET ON PARAMETER session_replication_role FROM celerytrail_sink"


@pytest.mark.parametrize("statement", ALTERED)
def test_what_is_not_as_designed_is_named_at_the_start(
    ledger_database: LedgerDatabase, statement: str
) -> None:
    ledger_database.run(statement)
    with ledger_database.ledger() as ledger:
        assert ALTERED[statement] in ledger.guards()
    # The doctor's comparison with the migrations finds it as well.
    found = [one for one in examine(ledger_database.dsn("verifier")) if one.check == "catalog"]
    assert {one.level for one in found} == {Level.FAIL}, found


@pytest.mark.parametrize("statement", BEYOND)
def test_a_right_outside_of_the_ledger_is_named(
    ledger_database: LedgerDatabase, statement: str
) -> None:
    expected = BEYOND[statement].format(name=ledger_database.name)
    ledger_database.run(statement.format(name=ledger_database.name))
    try:
        for role in ("verifier", "grafana"):
            found = [one for one in examine(ledger_database.dsn(role)) if one.check == "rights"]
            assert expected in [one.found for one in found if one.level is Level.WARN], found
        done: list[Done] = []
        assert maintain_once(ledger_database.dsn("maintainer"), done.append), done
        assert f"gap: {expected}" in [one.message for one in done]
    finally:
        ledger_database.run(OF_THE_SERVER)
        ledger_database.run(f"ALTER DATABASE {ledger_database.name} OWNER TO postgres")


def test_nothing_is_named_in_a_fresh_ledger(ledger_database: LedgerDatabase) -> None:
    with ledger_database.ledger() as ledger:
        assert ledger.guards() == []
    for role in ("verifier", "grafana"):
        found = [one for one in examine(ledger_database.dsn(role)) if one.check == "rights"]
        assert [one.level for one in found] == [Level.OK], found
