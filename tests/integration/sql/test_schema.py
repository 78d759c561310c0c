"""The schema is what attributes.py, schema.sql and the design say it is."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.attributes import (
    ACTION_STEPS,
    ATTRIBUTES,
    LOG_ATTRIBUTES,
    PAYLOAD_COLUMNS,
    SPAN_COLUMNS,
    STEPS,
    Column,
)
from celerytrail.sql.migrate import migrate
from celerytrail.sql.named_queries import queries
from celerytrail.sql.schema_dump import dump_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

_TYPE = {
    "timestamp with time zone": "timestamptz",
    "boolean": "bool",
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
}
ASSIGNED = [Column("received_at", "timestamptz", False), Column("principal_id", "int8", False)]


def columns_of(database: MigratedDatabase, table: str) -> list[Column]:
    rows = database.rows(
        "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        f"celerytrail.{table}",
    )
    return [Column(name, _TYPE.get(kind, kind), nullable) for name, kind, nullable in rows]


def test_spans_has_the_columns_of_the_contract_in_their_order(migrated: MigratedDatabase) -> None:
    expected = [*SPAN_COLUMNS, *ASSIGNED, Column("batch_id", "int8", False)]
    assert columns_of(migrated, "spans") == expected


def test_payloads_has_the_columns_of_the_contract_in_their_order(
    migrated: MigratedDatabase,
) -> None:
    assert columns_of(migrated, "payloads") == [*PAYLOAD_COLUMNS, *ASSIGNED]


def test_every_attribute_with_a_column_has_it_with_its_type(migrated: MigratedDatabase) -> None:
    spans = {column.name: column.type for column in columns_of(migrated, "spans")}
    for attribute in ATTRIBUTES:
        if attribute.column is not None:
            assert spans[attribute.column] == attribute.type, attribute.name
    payloads = {column.name: column.type for column in columns_of(migrated, "payloads")}
    for attribute in LOG_ATTRIBUTES:
        if attribute.column is not None:
            assert payloads[attribute.column] == attribute.type, attribute.name


def test_the_table_of_steps_is_that_of_the_contract(migrated: MigratedDatabase) -> None:
    stored = migrated.rows(
        "SELECT code, step, subject, rank, state, ends, event FROM celerytrail.steps ORDER BY code"
    )
    assert stored == [
        (step.code, step.name, step.subject, step.rank, step.state, step.ends, step.event)
        for step in sorted([*STEPS, *ACTION_STEPS], key=lambda step: step.code)
    ]


def test_only_built_in_types_are_hashed(migrated: MigratedDatabase) -> None:
    assert (
        migrated.value(
            "SELECT count(*) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE a.attrelid IN ('celerytrail.spans'::regclass, 'celerytrail.actions'::regclass)"
            " AND a.attnum > 0 AND (t.oid >= 10000 OR t.typtype <> 'b')"
        )
        == 0
    )


def test_schema_sql_is_the_dump_of_a_fresh_database(server_directory: Path, tmp_path: Path) -> None:
    committed = files("celerytrail.sql").joinpath("schema.sql").read_text("utf-8")
    with EmbeddedPostgres(
        server_directory / "dump", bin_dir="wheel", settings={"fsync": "off"}
    ) as server:
        dsn = server.create_database("fresh")
        migrate(dsn)
        assert dump_schema(dsn, server.bin_dir / "pg_dump") == committed, "run `make generate`"


def test_rights_are_as_designed(migrated: MigratedDatabase) -> None:
    """Nobody who can log in may change what is written, and only the sink may insert, by column."""
    tables = ("spans", "leaf_groups", "blocks", "chain", "chain_head", "actions", "payloads", "ledger",
              "principals", "tokens", "quarantine", "horizon", "steps", "migrations", "searchable")  # fmt: skip
    found = {
        (role, privilege, table)
        for role, privilege, table in migrated.rows(
            "SELECT r.rolname, p, c.relname FROM pg_roles r"
            " CROSS JOIN unnest(ARRAY['INSERT','UPDATE','DELETE','TRUNCATE','TRIGGER','REFERENCES']) p"
            " JOIN pg_class c ON c.relnamespace = 'celerytrail'::regnamespace AND c.relkind IN ('r','p')"
            " WHERE r.rolname LIKE 'celerytrail\\_%%' AND r.rolcanlogin"
            " AND has_table_privilege(r.rolname, c.oid, p) AND c.relname = ANY (%s)",
            list(tables),
        )
    }
    assert found == set()
    model = migrated.rows(
        "SELECT c.relname, p FROM unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE']) p"
        " JOIN pg_class c ON c.relnamespace = 'celerytrail'::regnamespace AND c.relkind IN ('r','p')"
        " WHERE has_table_privilege('celerytrail_sink', c.oid, p) AND p <> 'SELECT'"
    )
    assert {table for table, _ in model} == {
        "tasks",
        "runs",
        "run_ends",
        "groups",
        "streams",
        "workers",
        "failures",
    }
    # What failed is written once, and never changed.
    assert {privilege for table, privilege in model if table == "failures"} == {"INSERT"}
    assert {privilege for _, privilege in model} == {"INSERT", "UPDATE"}
    insertable = migrated.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'celerytrail.spans'::regclass AND attnum > 0"
        " AND has_column_privilege('celerytrail_sink', attrelid, attnum, 'INSERT') ORDER BY attnum"
    )
    assert [name for (name,) in insertable] == [column.name for column in SPAN_COLUMNS]
    assert migrated.rows(
        "SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid"
        " CROSS JOIN unnest(ARRAY['celerytrail_sink','celerytrail_grafana','celerytrail_actions']) r"
        " CROSS JOIN unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE']) p"
        " WHERE c.relnamespace = 'celerytrail'::regnamespace AND c.relkind = 'r'"
        " AND has_table_privilege(r, c.oid, p)"
    ) == [(0,)]


def test_grafana_reads_views_and_nothing_else(migrated: MigratedDatabase) -> None:
    with migrated.connect("grafana") as grafana:
        for (view,) in migrated.rows(
            "SELECT relname FROM pg_class WHERE relnamespace = 'celerytrail_views'::regnamespace AND relkind = 'v'"
        ):
            grafana.execute(f"SELECT * FROM celerytrail_views.{view} LIMIT 1".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            grafana.execute("SELECT * FROM celerytrail.tasks")
    barriers = migrated.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'celerytrail_views'::regnamespace"
        " AND relkind = 'v' AND NOT coalesce(reloptions::text[] @> '{security_barrier=true}', false)"
    )
    # These have no condition of their own, so that there is nothing behind a barrier.
    assert sorted(barriers) == [
        ("actions",),
        ("failures",),
        ("searchable",),
        ("task_actions",),
        ("tasks",),
    ]
    for (view,) in barriers:
        definition = migrated.value(
            "SELECT pg_get_viewdef(%s::regclass)", f"celerytrail_views.{view}"
        )
        assert not re.search(r"^ {2}(WHERE|JOIN|GROUP|HAVING|LIMIT)", definition, re.MULTILINE), (
            view
        )


def test_functions_are_closed_to_everybody_else(migrated: MigratedDatabase) -> None:
    assert (
        migrated.rows(
            "SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'celerytrail'::regnamespace"
            " AND has_function_privilege('public', p.oid, 'EXECUTE') AND p.prosecdef"
        )
        == []
    )
    sink = {
        name
        for (name,) in migrated.rows(
            "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'celerytrail'::regnamespace"
            " AND has_function_privilege('celerytrail_sink', p.oid, 'EXECUTE') AND p.prosecdef"
        )
    }
    # hardening_gaps only reads the catalog.
    assert sink == {
        "authenticate",
        "choose_chain",
        "ensure_partitions",
        "add_quarantine",
        "stored_digests",
        "hardening_gaps",
    }


def test_every_file_of_named_queries_can_be_loaded() -> None:
    stems = [
        entry.name.removesuffix(".sql")
        for entry in files("celerytrail.sql").joinpath("queries").iterdir()
    ]
    assert "ingest" in stems
    for stem in stems:
        for name, text in queries(stem).items():
            assert text, f"{stem}: {name}"
