"""`celerytrail doctor` finds what is wrong, says nothing where all is well, and what it cannot see."""

from __future__ import annotations

import subprocess
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.doctor import server_checks
from celerytrail.sql.doctor.examination import CHECKS, examine, exit_code
from celerytrail.sql.doctor.finding import Finding, Level
from celerytrail.sql.migrate import migrate
from celerytrail.sql.verification import Verdict
from celerytrail.sql.verify import verify_ledger
from tests.chain.chained_ledger import ChainedLedger, write_batch

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TOMORROW = (datetime.now(timezone.utc) + timedelta(days=1)).strftime("%Y%m%d")
OF_THE_SERVER = {"server_version", "encoding", "clock", "durability", "prepared_transactions"}
"""Checks whose cases need another server, session or clock, below."""

CASES: dict[str, tuple[str, str, Level, str]] = {
    "isolation": (
        "session_settings",
        "ALTER ROLE celerytrail_sink IN DATABASE {name} SET default_transaction_isolation = 'serializable'",
        Level.WARN,
        "celerytrail_sink begins with default_transaction_isolation = serializable",
    ),
    "encoding of everybody": (
        "session_settings",
        "ALTER DATABASE {name} SET client_encoding = 'LATIN1'",
        Level.WARN,
        "every role begins with client_encoding = LATIN1",
    ),
    "literals of everybody": (
        "session_settings",
        "ALTER DATABASE {name} SET standard_conforming_strings = off",
        Level.WARN,
        "every role begins with standard_conforming_strings = off",
    ),
    "read only": (
        "session_settings",
        "ALTER DATABASE {name} SET default_transaction_read_only = true",
        Level.WARN,
        "every role begins with default_transaction_read_only = true",
    ),
    "unknown migration": (
        "schema",
        "INSERT INTO celerytrail.migrations (id, name, sha256) VALUES (9999, '9999_more', '')",
        Level.FAIL,
        "9999_more",
    ),
    "missing migration": (
        "schema",
        "DELETE FROM celerytrail.migrations WHERE id = 120",
        Level.FAIL,
        "0120_choose_chain",
    ),
    "format": (
        "format_version",
        "UPDATE celerytrail.ledger SET format_version = 2",
        Level.FAIL,
        "has format 2",
    ),
    "identity": ("format_version", "DELETE FROM celerytrail.ledger", Level.FAIL, "is gone"),
    "trigger not always": (
        "triggers",
        "ALTER TABLE celerytrail.blocks ENABLE TRIGGER link",
        Level.FAIL,
        "trigger link on celerytrail.blocks does not fire under",
    ),
    "trigger of a partition off": (
        "triggers",
        f"ALTER TABLE celerytrail.spans_{TOMORROW} DISABLE TRIGGER forbid_truncate",
        Level.FAIL,
        f"trigger forbid_truncate on celerytrail.spans_{TOMORROW} is switched off",
    ),
    "owner": (
        "catalog",
        "ALTER TABLE celerytrail.chain OWNER TO celerytrail_sink",
        Level.FAIL,
        "not as designed: changed table celerytrail.chain",
    ),
    "right": (
        "catalog",
        "GRANT SELECT ON celerytrail.payloads TO celerytrail_grafana",
        Level.FAIL,
        "not as designed: changed table celerytrail.payloads",
    ),
    "public": (
        "hardening",
        "GRANT TEMPORARY ON DATABASE {name} TO PUBLIC",
        Level.WARN,
        "PUBLIC",
    ),
    "right outside": (
        "rights",
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO celerytrail_sink",
        Level.WARN,
        "celerytrail_sink may execute pg_read_file(text)",
    ),
    "partition": (
        "partitions",
        f"DROP TABLE celerytrail.spans_{TOMORROW}",
        Level.WARN,
        "spans have no partition for",
    ),
    "horizon": (
        "horizon",
        "UPDATE celerytrail.horizon SET retained_from = current_date + 5",
        Level.FAIL,
        "is later than today",
    ),
    "no horizon": ("horizon", "DELETE FROM celerytrail.horizon", Level.FAIL, "is gone"),
    "head": (
        "chains",
        "UPDATE celerytrail.chain_head SET n = n + 1",
        Level.FAIL,
        "chain 0: its head is not its last link",
    ),
    "never verified": (
        "chains",
        "UPDATE celerytrail.chain_head SET n = 1",
        Level.WARN,
        "chain 0: it was never verified",
    ),
    "found broken": (
        "chains",
        "SELECT celerytrail.record_verification('full', 0, 0, 0, sha256(''), 'broken', NULL, 0, 0, true)",
        Level.FAIL,
        "found it broken",
    ),
    "guards altered": (
        "chains",
        "SELECT celerytrail.record_verification('full', 0, 0, 0, sha256(''), 'internal', NULL, 0, 0, false)",
        Level.FAIL,
        "found guards altered",
    ),
    "not compared": (
        "chains",
        (
            "SELECT celerytrail.record_verification('full', 0, 0, 0, sha256(''), 'internal', NULL, 0, 0, true,"
            " 'checkpoint', NULL, NULL, 'cannot read the checkpoint file /elsewhere')"
        ),
        Level.WARN,
        "could not compare with checkpoints: cannot read the checkpoint file /elsewhere",
    ),
    "no head": ("chains", "DELETE FROM celerytrail.chain_head", Level.FAIL, "chain 0 has no head"),
    "batch": (
        "batch_ids",
        "INSERT INTO celerytrail.blocks VALUES (9, 0, 1, 1, 0, '{{}}', '{{}}', '{{}}', '', '', now())",
        Level.FAIL,
        "but 9 is there",
    ),
}


def found_by(findings: list[Finding], check: str) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


def test_every_check_has_a_case_in_which_it_finds() -> None:
    assert {case[0] for case in CASES.values()} | OF_THE_SERVER == {row.name for row in CHECKS}


def test_nothing_is_found_where_all_is_well(migrated: MigratedDatabase, ledger: Ledger) -> None:
    write_batch(ledger, migrated, 1)
    migrated.run(
        "SELECT celerytrail.record_verification('full', 0, 0, 1, sha256(''), 'ok', NULL, 4, 0, true)"
    )
    found = [one for one in examine(migrated.dsn()) if one.check != "durability"]
    assert [one for one in found if one.level is not Level.OK] == []
    assert {one.check for one in found} == {row.name for row in CHECKS} - {"durability"}
    assert exit_code(found) == 0


@pytest.mark.parametrize("case", list(CASES))
def test_each_fault_is_found_by_its_check(migrated: MigratedDatabase, case: str) -> None:
    check, statement, level, text = CASES[case]
    before = found_by(examine(migrated.dsn()), check)
    assert [one.level for one in before] == [Level.OK]
    if check == "triggers":
        migrated.run(statement)
    else:
        ChainedLedger(migrated, "").tamper(statement.format(name=migrated.name))
    found = found_by(examine(migrated.dsn()), check)
    assert any(one.level is level and text in one.found and one.todo for one in found), found


def test_a_never_verified_chain_without_a_block_is_in_order(migrated: MigratedDatabase) -> None:
    (found,) = found_by(examine(migrated.dsn()), "chains")
    assert (found.level, found.found) == (Level.OK, "chain 0 ends at n 0")


def test_a_server_of_its_own(server_directory: Path) -> None:
    settings = {"max_prepared_transactions": "3"}
    with EmbeddedPostgres(server_directory / "doctor", settings=settings) as server:
        dsn = server.create_database("doctor")
        unmigrated = examine(dsn)
        assert {one.check for one in unmigrated if one.level is Level.FAIL} == {
            "schema",
            "format_version",
            "triggers",
            "catalog",
            "hardening",
            "horizon",
            "chains",
            "batch_ids",
        }
        migrate(dsn)
        (durable,) = found_by(examine(dsn), "durability")
        assert durable.level is Level.OK
        (allowed,) = found_by(examine(dsn), "prepared_transactions")
        assert (allowed.level, "is 3" in allowed.found) == (Level.WARN, True)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT 1")
            connection.execute("PREPARE TRANSACTION 'left alone'")
        (left,) = found_by(examine(dsn), "prepared_transactions")
        assert "'left alone' of postgres was prepared at" in left.found


def test_a_server_that_does_not_sync_is_found(migrated: MigratedDatabase) -> None:
    (found,) = found_by(examine(migrated.dsn()), "durability")
    assert (found.level, found.found[:12]) == (Level.FAIL, "fsync is off")
    migrated.run(f"ALTER DATABASE {migrated.name} SET synchronous_commit = off")
    found = found_by(examine(migrated.dsn()), "durability")[-1]
    assert (found.level, "actions may be lost" in found.found) == (Level.WARN, True)


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [("NEWEST_TESTED_MAJOR", 14, Level.WARN), ("MINIMUM_SERVER_VERSION", 990_000, Level.FAIL)],
)
def test_versions_that_are_too_new_or_too_old(
    migrated: MigratedDatabase,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: int,
    level: Level,
) -> None:
    monkeypatch.setattr(server_checks, name, value)
    (found,) = found_by(examine(migrated.dsn()), "server_version")
    assert found.level is level


@pytest.mark.parametrize(
    ("shift", "level", "text"),
    [
        ("0 s", Level.OK, "agree"),
        ("30 s", Level.WARN, "ahead of"),
        ("-30 s", Level.WARN, "behind"),
        ("1 h", Level.FAIL, "ahead of"),
    ],
)
def test_clocks_that_differ(
    migrated: MigratedDatabase,
    monkeypatch: pytest.MonkeyPatch,
    shift: str,
    level: Level,
    text: str,
) -> None:
    shifted = f"SELECT clock_timestamp() + interval '{shift}'".encode()
    monkeypatch.setattr(server_checks, "queries", lambda _: {"clock": shifted})
    with migrated.connect() as connection:
        (found,) = server_checks.clock(connection)
    assert (found.level, text in found.found) == (level, True)


def test_encodings_that_are_not_utf8(migrated: MigratedDatabase) -> None:
    with psycopg.connect(migrated.dsn(), client_encoding="latin1", autocommit=True) as connection:
        (found,) = server_checks.encoding(connection)
        assert (found.level, "client_encoding LATIN1" in found.found) == (Level.FAIL, True)
        name = f"test_{uuid.uuid4().hex[:12]}"
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode()
        )
    try:
        with psycopg.connect(migrated.server.dsn(name), client_encoding="utf8") as connection:
            (found,) = server_checks.encoding(connection)
            assert (found.level, "encoding LATIN1" in found.found) == (Level.FAIL, True)
    finally:
        migrated.server.drop_database(name)


@pytest.mark.parametrize(
    ("role", "unseen"),
    [
        ("sink", {"chains", "batch_ids"}),
        ("actions", {"hardening", "chains", "batch_ids"}),
        ("verifier", {"batch_ids"}),
        ("maintainer", {"format_version", "horizon", "chains", "batch_ids"}),
        (
            "grafana",
            {
                "schema",
                "format_version",
                "catalog",
                "hardening",
                "horizon",
                "chains",
                "batch_ids",
            },
        ),
    ],
)
def test_each_role_is_told_what_it_cannot_see(
    migrated: MigratedDatabase, role: str, unseen: set[str]
) -> None:
    found = examine(migrated.dsn(role))
    assert {one.check for one in found if one.level is Level.UNSEEN} == unseen
    wrong = [one for one in found if one.level in (Level.FAIL, Level.WARN)]
    assert {one.check for one in wrong} == {"durability"}
    assert all("connect as" in one.todo for one in found if one.level is Level.UNSEEN)


def test_after_a_restore_of_data_alone_it_says_how_to_mend_it(
    migrated: MigratedDatabase, ledger: Ledger, tmp_path: Path
) -> None:
    dump = migrated.server.bin_dir / "pg_dump"
    if not dump.exists():
        pytest.skip("this Postgres comes without pg_dump")
    write_batch(ledger, migrated, 1)
    kept = verify_ledger(migrated.dsn("verifier")).heads
    file = tmp_path / "ledger.dump"
    subprocess.run([dump, "--format=custom", f"--file={file}", migrated.dsn()], check=True)
    name = f"test_{uuid.uuid4().hex[:12]}"
    dsn = migrated.server.create_database(name)
    try:
        restore = [dump.with_name("pg_restore"), "--exit-on-error", f"--dbname={dsn}", file]
        subprocess.run([*restore, "--schema-only"], check=True)
        subprocess.run([*restore, "--data-only", "--disable-triggers"], check=True)
        found = [one for one in found_by(examine(dsn), "triggers") if one.level is Level.FAIL]
        assert any("link on celerytrail.blocks" in one.found for one in found)
        with psycopg.connect(dsn, autocommit=True) as connection:
            while found:
                for one in found:
                    if one.todo.startswith("as who migrated: "):
                        statement = one.todo.removeprefix("as who migrated: ").partition(";")[0]
                        connection.execute(statement.encode())
                left = found_by(examine(dsn), "triggers")
                found = [one for one in left if one.level is Level.FAIL]
            connection.execute("SELECT celerytrail_admin.harden_database()")
        wrong = [one for one in examine(dsn) if one.level in (Level.FAIL, Level.WARN)]
        assert {one.check for one in wrong} == {"durability", "chains"}
        verifier = migrated.server.dsn(name, "celerytrail_verifier")
        assert verify_ledger(verifier, against=kept).verdict is Verdict.CLEAN
    finally:
        migrated.server.drop_database(name)
