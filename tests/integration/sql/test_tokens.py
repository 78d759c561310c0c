"""Tokens: shown once, kept as a hash, bound to one deployment, revocable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from celerytrail.exporter.sink.errors import TokenRefused
from celerytrail.sql.tokens import token_hash
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
