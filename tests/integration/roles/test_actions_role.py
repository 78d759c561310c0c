"""What somebody can do who holds the password of the action API: only what its functions do."""

from __future__ import annotations

import json
import uuid

import psycopg
import pytest

from tests.integration.roles.ledger_database import LedgerDatabase
from tests.integration.sql.intents import Intents

pytest_plugins = ["tests.databases"]

SECRETS = ("intents", "action_reasons", "api_tokens", "tokens", "principals", "payloads", "spans",
           "blocks", "chain", "chain_head", "leaf_groups", "quarantine", "verifications",
           "stored_leaves", "shown_reasons")  # fmt: skip
WRITTEN = ("intents", "actions", "action_reasons", "task_actions", "tasks", "api_tokens")
CALLS = (
    "SELECT celerytrail.renew_lease(gen_random_uuid(), 'x', 30)",
    "SELECT celerytrail.progress_intent(gen_random_uuid(), 'x', '{}')",
    "SELECT celerytrail.finish_intent(gen_random_uuid(), 'x', 'failed', '{}')",
    "SELECT * FROM celerytrail.take_expired_intents('x', 30)",
    "SELECT * FROM celerytrail.intent_state(gen_random_uuid())",
    "SELECT * FROM celerytrail.message_for_retry('', 'shop', '', 't')",
    "SELECT * FROM celerytrail.authenticate_api_token(sha256('x'))",
    (
        "SELECT celerytrail.begin_intent(gen_random_uuid(), 'retry', 'a', 'grafana', NULL, '', 'shop', '',"
        " NULL, '{}', 'task/t/0', NULL, NULL, NULL, 'x', 30, 60)"
    ),
)


def test_it_calls_its_functions_and_nobody_else_does(ledger_database: LedgerDatabase) -> None:
    # An error would stand behind the statement.
    assert ledger_database.not_refused("actions", CALLS) == list(CALLS)
    for role in ("sink", "verifier", "maintainer", "grafana"):
        assert ledger_database.not_refused(role, CALLS) == []


def test_it_reads_what_it_needs_and_nothing_else(ledger_database: LedgerDatabase) -> None:
    ledger_database.write_honest_batches()
    read = [f"SELECT * FROM celerytrail.{table}" for table in SECRETS]
    read += [f"COPY celerytrail.{table} TO STDOUT" for table in SECRETS[:7]]
    read += ["SELECT * FROM celerytrail_views.tasks", "SELECT * FROM celerytrail_views.payloads"]
    assert ledger_database.not_refused("actions", read) == []
    allowed = ("tasks", "runs", "groups", "actions", "streams", "workers", "task_actions", "steps",
               "ledger", "horizon")  # fmt: skip
    with ledger_database.connect("actions") as actions:
        for table in allowed:
            actions.execute(f"SELECT * FROM celerytrail.{table} LIMIT 1".encode())


def test_it_writes_no_table_by_itself(ledger_database: LedgerDatabase) -> None:
    with ledger_database.connect("actions") as connection:
        intent_id = Intents(connection).begin(reason="why").intent_id
    written = []
    for table in WRITTEN:
        written += [f"DELETE FROM celerytrail.{table}", f"TRUNCATE celerytrail.{table}"]
    written += [
        "UPDATE celerytrail.intents SET holder = 'me', lease_until = now() + interval '1 year'",
        "UPDATE celerytrail.intents SET state = 'succeeded', finished_at = now()",
        "UPDATE celerytrail.intents SET released = true",
        "INSERT INTO celerytrail.intents (intent_id) VALUES (gen_random_uuid())",
        (
            "INSERT INTO celerytrail.actions (action_id, action_time, phase, verb, actor, actor_kind, recorded_by)"
            " VALUES (gen_random_uuid(), now(), 'outcome', 'purge', 'ann', 'grafana', 'x')"
        ),
        "UPDATE celerytrail.action_reasons SET body = 'other words'",
        (
            "INSERT INTO celerytrail.api_tokens (token_hash, name, namespace, service, environment, scopes, expires_at)"
            " VALUES (sha256('x'), 'me', '', 'shop', '', '{purge}', 'infinity')"
        ),
        "UPDATE celerytrail.api_tokens SET scopes = '{purge}'",
        "UPDATE celerytrail.tasks SET state = 'purged'",
        "SELECT celerytrail.project_actions(ARRAY[gen_random_uuid()])",
        "SELECT celerytrail.project_new_actions()",
        "SELECT celerytrail.block_fault(1, current_date)",
        "SELECT celerytrail.verify_chain(0)",
        "SELECT celerytrail.require_lease('x', 30)",
    ]
    assert ledger_database.not_refused("actions", written) == []
    with ledger_database.connect("actions") as connection:
        assert Intents(connection).state(intent_id).state == "open"


def test_anothers_lease_stays_anothers(ledger_database: LedgerDatabase) -> None:
    with (
        ledger_database.connect("actions") as holds,
        ledger_database.connect("actions") as other,
    ):
        holder, thief = Intents(holds), Intents(other)
        intent_id = holder.begin().intent_id
        assert not thief.renew(intent_id, 600)
        assert not thief.progress(intent_id, {})
        assert not thief.finish(intent_id, "failed")
        assert thief.take_expired() == []
        assert thief.begin(uuid.uuid4()).result == "duplicate"
        assert holder.finish(intent_id)
    ledger_database.assert_clean()


def test_what_a_session_sets_changes_no_answer(ledger_database: LedgerDatabase) -> None:
    """Search path, time zone and transactions are the caller's; what is written is not."""
    with ledger_database.connect("actions") as connection:
        connection.execute("SET search_path = pg_temp, public")
        connection.execute("SET TimeZone = 'Asia/Kathmandu'")
        connection.execute("SET bytea_output = 'escape'")
        one = Intents(connection)
        intent_id = one.begin(reason="é", target=json.dumps({"task_id": "é"})).intent_id
        with connection.transaction(force_rollback=True):
            assert one.finish(intent_id)
        assert one.state(intent_id).state == "open"
        with connection.transaction():
            assert one.progress(intent_id, {"a": 1})
            assert one.finish(intent_id)
        connection.execute("SET client_encoding = 'LATIN1'")
        with pytest.raises(psycopg.DatabaseError, match="client_encoding"):
            one.begin(target_key="task/b/0")
    ledger_database.assert_clean()
    assert ledger_database.value("SELECT count(*) FROM celerytrail.intents") == 1
