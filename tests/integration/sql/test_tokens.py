"""Tokens: shown once, kept as a hash, bound to one deployment, revocable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner

from celerytrail.exporter.sink.errors import TokenRefused
from celerytrail.sql.tokens import SCOPES, token_hash
from celerytrail.sql.tokens_command import tokens
from tests.span_rows import SHOP, task_rows

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

DEPLOYMENT = ["--namespace", "acme", "--service", "shop", "--environment", "test"]


def run(database: MigratedDatabase, *arguments: str, role: str = "postgres") -> tuple[int, str]:
    done = CliRunner().invoke(tokens, [*arguments], env={"CELERYTRAIL_DSN": database.dsn(role)})
    assert "Traceback" not in done.output
    return done.exit_code, done.output.strip()


def test_a_token_is_made_used_listed_and_revoked(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    code, token = run(migrated, "create", "--name", "host-1", *DEPLOYMENT)
    assert code == 0
    assert token.startswith("ct_")
    assert len(token) > 40
    principal = ledger.authenticate(token_hash(token))
    assert (principal.name, principal.deployment) == (
        "host-1",
        (SHOP.namespace, SHOP.service, SHOP.environment),
    )
    code, second = run(
        migrated, "create", "--name", "host-1", *DEPLOYMENT, "--expires-in-days", "3", "--json"
    )
    made = json.loads(second)
    assert code == 0
    assert made["expires_at"] is not None
    assert ledger.authenticate(token_hash(made["token"])) == principal

    code, listed = run(migrated, "list", "--json")
    mine = [entry for entry in json.loads(listed) if entry["name"] == "host-1"]
    assert [entry["state"] for entry in mine] == ["valid", "valid"]
    assert token not in listed
    assert token not in run(migrated, "list")[1]
    everything = migrated.rows("SELECT t::text FROM celerytrail.tokens t")
    assert not any(token in row[0] for row in everything)

    assert run(migrated, "revoke", made["token_id"])[0] == 0
    ledger.authenticate(token_hash(token))
    with pytest.raises(TokenRefused):
        ledger.authenticate(token_hash(made["token"]))
    assert run(migrated, "revoke", "host-1")[0] == 0
    with pytest.raises(TokenRefused):
        ledger.write_spans(token_hash(token), task_rows())
    code, said = run(migrated, "revoke", "host-1")
    assert (code, "host-1" in said) == (1, True)


def test_a_name_belongs_to_one_deployment(migrated: MigratedDatabase) -> None:
    assert run(migrated, "create", "--name", "host-1", *DEPLOYMENT)[0] == 0
    code, said = run(migrated, "create", "--name", "host-1", "--service", "bank")
    assert code == 1
    assert "belongs to" in said
    assert migrated.value("SELECT count(*) FROM celerytrail.tokens") == 2


def test_the_sink_cannot_make_or_read_tokens(migrated: MigratedDatabase) -> None:
    for arguments in (["create", "--name", "x", "--service", "shop"], ["list"], ["revoke", "shop"]):
        code, said = run(migrated, *arguments, role="sink")
        assert code == 1
        assert "permission denied" in said


AUTHENTICATE = "SELECT * FROM celerytrail.authenticate_api_token(%s)"


def test_a_token_of_the_action_api_is_made_used_listed_and_revoked(
    migrated: MigratedDatabase,
) -> None:
    arguments = ["--for", "actions", "--name", "nightly", *DEPLOYMENT, "--expires-in-days", "30"]
    scopes = ["--scope", "cancel", "--scope", "retry", "--scope", "cancel"]
    code, token = run(migrated, "create", *arguments, *scopes)
    assert code == 0
    assert token.startswith("cta_")
    code, second = run(migrated, "create", *arguments, "--scope", "purge", "--json")
    made = json.loads(second)
    assert (code, made["scopes"]) == (0, ["purge"])

    with migrated.connect("actions") as actions:

        def known(shown: str) -> list[tuple[object, ...]]:
            return actions.execute(AUTHENTICATE, [token_hash(shown)]).fetchall()

        first_id = token_hash(token)[:6].hex()
        deployment = (SHOP.namespace, SHOP.service, SHOP.environment)
        assert known(token) == [(first_id, "nightly", *deployment, ["retry", "cancel"])]
        assert known(made["token"]) == [(made["token_id"], "nightly", *deployment, ["purge"])]
        assert known(token + "x") == []
        assert actions.execute(AUTHENTICATE, [None]).fetchall() == []

        listed = {
            entry["token_id"]: entry for entry in json.loads(run(migrated, "list", "--json")[1])
        }
        assert (listed[first_id]["used_for"], listed[first_id]["scopes"]) == (
            "actions",
            ["retry", "cancel"],
        )
        assert {entry["used_for"] for entry in listed.values()} == {"sink", "actions"}
        text = run(migrated, "list")[1]
        assert "retry cancel" in text
        assert token not in text

        assert run(migrated, "revoke", made["token_id"])[0] == 0
        assert (len(known(token)), known(made["token"])) == (1, [])
        assert run(migrated, "revoke", "nightly") == (0, f"revoked {first_id}")
        assert known(token) == []
        assert run(migrated, "revoke", "nightly")[0] == 1


def test_a_token_of_the_action_api_expires(migrated: MigratedDatabase) -> None:
    arguments = ["create", "--for", "actions", "--name", "nightly", "--service", "shop"]
    token = run(migrated, *arguments, "--scope", "retry", "--expires-in-days", "1")[1]
    with migrated.connect("actions") as actions:
        assert len(actions.execute(AUTHENTICATE, [token_hash(token)]).fetchall()) == 1
        migrated.run("UPDATE celerytrail.api_tokens SET expires_at = clock_timestamp()")
        assert actions.execute(AUTHENTICATE, [token_hash(token)]).fetchall() == []
    assert "expired" in run(migrated, "list")[1]


def test_a_token_of_the_action_api_is_bounded_in_time_verbs_and_deployment(
    migrated: MigratedDatabase,
) -> None:
    arguments = ["create", "--for", "actions", "--name", "nightly", "--service", "shop"]
    scope, days = ["--scope", SCOPES[0]], ["--expires-in-days", "30"]
    for wrong in (scope, days, [*scope, *days, "--scope", "everything"]):
        code, said = run(migrated, *arguments, *wrong)
        assert code == 2, said
    code, said = run(migrated, "create", "--name", "x", "--service", "shop", *scope)
    assert (code, "--for actions" in said) == (2, True)
    assert run(migrated, *arguments, *scope, *days)[0] == 0
    code, said = run(migrated, *arguments, "--environment", "live", *scope, *days)
    assert (code, "belongs to" in said) == (1, True)
    assert migrated.value("SELECT count(*) FROM celerytrail.api_tokens") == 1
    # One kind is no use in the place of the other.
    token = run(migrated, *arguments, *scope, *days)[1]
    with migrated.connect("sink") as sink, pytest.raises(psycopg.DatabaseError, match="unknown"):
        sink.execute("SELECT * FROM celerytrail.authenticate(%s)", [token_hash(token)])
    with migrated.connect("actions") as actions:
        assert actions.execute(AUTHENTICATE, [migrated.token]).fetchall() == []
