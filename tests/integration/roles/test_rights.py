"""Every right of every role that logs in, read from the catalog and compared with what is written down here."""

from __future__ import annotations

import pytest

from tests.integration.roles.ledger_database import LedgerDatabase
from tests.integration.roles.test_other_roles import LOGINS, changes

pytest_plugins = ["tests.databases"]

CHANGES = "INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER"
READ_MODEL = ("groups", "run_ends", "runs", "streams", "tasks", "workers")
CHANGED_BY_SINK = {
    **{f"celerytrail.{table}": {"INSERT", "UPDATE"} for table in READ_MODEL},
    "celerytrail.failures": {"INSERT"},
    # By single columns, those that are not the database's to fill.
    "celerytrail.payloads": {"INSERT"},
    "celerytrail.spans": {"INSERT"},
}
FUNCTIONS = {
    "sink": {
        "add_quarantine", "authenticate", "choose_chain", "ensure_partitions", "hardening_gaps",
        "stored_digests",
    },
    "actions": {
        "append_action", "authenticate_api_token", "begin_intent", "finish_intent", "intent_state",
        "message_for_retry", "progress_intent", "renew_lease", "take_expired_intents",
    },
    # The views call them, and it may not name what is in the schema they are in.
    "grafana": {"workflow_bars", "workflow_members", "workflow_state"},
    "verifier": {"hardening_gaps", "record_verification"},
    "checkpointer": {"record_checkpoint"},
    "maintainer": {
        "abandoned_erasures", "announce_day_drop", "announcement_state", "attend_erasure",
        "begin_erasure", "check_read_model", "collect_orphans", "conclude_lost", "continue_erasure",
        "drop_day", "ensure_partitions", "erase_marked", "erase_reasons", "erase_searchable",
        "finish_erasure", "finish_forgetting", "forget_leftovers", "forget_tasks", "hardening_gaps",
        "leave_erasure", "mark_erased", "old_days", "open_erasures", "preview_erasure",
        "remove_large_objects", "restore_roles", "retained_from", "trim_quarantine",
        "trim_searchable", "unforgotten_days", "watch_sessions",
    },
}  # fmt: skip
"""Functions that act with more rights than their caller's."""


@pytest.mark.parametrize("role", LOGINS)
def test_what_a_role_may_change(ledger_database: LedgerDatabase, role: str) -> None:
    """In every schema, by rights of its own, of PUBLIC, on a table or on one of its columns."""
    with ledger_database.connect() as superuser:
        found = superuser.execute(
            "SELECT n.nspname || '.' || c.relname, p FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " CROSS JOIN unnest(string_to_array(%s, ',')) AS p"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND CASE"
            " WHEN p IN ('INSERT', 'UPDATE', 'REFERENCES') THEN has_any_column_privilege(%s, c.oid, p)"
            " ELSE has_table_privilege(%s, c.oid, p) END",
            [CHANGES, f"celerytrail_{role}", f"celerytrail_{role}"],
        ).fetchall()
        sequences = superuser.execute(
            "SELECT c.relname FROM pg_class c WHERE CASE WHEN c.relkind = 'S'"
            " THEN has_sequence_privilege(%s, c.oid, 'USAGE, UPDATE') END",
            [f"celerytrail_{role}"],
        ).fetchall()
        schemas = superuser.execute(
            "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(%s, oid, 'CREATE')",
            [f"celerytrail_{role}"],
        ).fetchall()
    may: dict[str, set[str]] = {}
    for relation, privilege in found:
        may.setdefault(relation, set()).add(privilege)
    # An UPDATE of this view is a SET.
    assert may.pop("pg_catalog.pg_settings") == {"UPDATE"}
    assert may == (CHANGED_BY_SINK if role == "sink" else {})
    assert (sequences, schemas) == ([], [])


@pytest.mark.parametrize("role", LOGINS)
def test_which_functions_act_for_a_role(ledger_database: LedgerDatabase, role: str) -> None:
    with ledger_database.connect() as superuser:
        found = superuser.execute(
            "SELECT p.proname FROM pg_proc p WHERE p.prosecdef"
            " AND has_function_privilege(%s, p.oid, 'EXECUTE')",
            [f"celerytrail_{role}"],
        ).fetchall()
    assert {name for (name,) in found} == FUNCTIONS[role]


def test_the_sink_changes_the_read_model_and_no_other_table(
    ledger_database: LedgerDatabase,
) -> None:
    statements = [
        statement
        for statement in changes(ledger_database)
        if not any(
            statement.startswith((f"INSERT INTO {table} ", f"UPDATE {table} "))
            for table in CHANGED_BY_SINK
            if table not in ("celerytrail.payloads", "celerytrail.spans")
        )
    ]
    assert len(statements) > 150
    assert ledger_database.not_refused("sink", statements) == []
