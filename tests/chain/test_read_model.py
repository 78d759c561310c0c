"""`verify --read-model`: what the sink keeps is what the ledger gives, and every other row is named."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql import read_model_check
from celerytrail.sql.read_model_check import ReadModelCheck, check_read_model
from celerytrail.sql.verify_command import verify
from tests.chain.chained_ledger import ChainedLedger, append_action
from tests.span_rows import NOON, span_row, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]


def checked(migrated: MigratedDatabase) -> ReadModelCheck:
    return check_read_model(migrated.dsn("verifier"))


@pytest.fixture
def busy(migrated: MigratedDatabase, ledger: Ledger) -> MigratedDatabase:
    """Every kind of event, a heartbeat, a stream that others report, purges and other actions."""
    from tests.integration.sink.test_ledger_read_model import a_busy_minute

    rows = a_busy_minute()
    for start in range(0, len(rows), 5):
        ledger.write_spans(migrated.token, rows[start : start + 5])
    gone, shipper = uuid.uuid4(), uuid.uuid4()
    spool = {"celerytrail.spool.bytes": 7, "celerytrail.version": "1"}
    ledger.write_spans(
        migrated.token,
        [
            span_row(1, "sent", stream=gone, task_id="waiting", task_name="shop.pay"),
            span_row(
                1,
                "stream_abandoned",
                stream=shipper,
                about_stream_id=gone,
                attributes=json.dumps({"celerytrail.about_stream.last_seq": 9}),
            ),
            span_row(2, "shipper_heartbeat", stream=shipper, attributes=json.dumps(spool)),
        ],
    )
    deployment = {"namespace": "acme", "service": "shop", "environment": "test"}
    purged = {"purged": [{"task_id": "waiting", "sent_unix_nano": 0}, {"task_id": "never seen"}]}
    append_action(
        migrated, "purge", phase="outcome", detail=json.dumps(purged), target="{}", **deployment
    )
    append_action(migrated, "cancel", target='{"task_id": "waiting"}', **deployment)
    return migrated


def test_what_the_sink_keeps_is_what_the_ledger_gives(busy: MigratedDatabase):
    found = checked(busy)
    assert found.differences == ()
    assert not found.differs
    for table in ("tasks", "runs", "run_ends", "groups", "workers", "streams", "task_actions"):
        assert found.rows[table] > 0


def test_every_table_of_the_read_model_is_compared(busy: MigratedDatabase):
    from tests.databases import READ_MODEL

    assert set(checked(busy).rows) >= set(READ_MODEL)


@pytest.mark.parametrize(
    ("table", "statement", "what"),
    [
        ("tasks", "UPDATE celerytrail.tasks SET state = 'lied'", "altered"),
        ("tasks", "DELETE FROM celerytrail.tasks WHERE task_id = 'never seen'", "missing"),
        ("runs", "UPDATE celerytrail.runs SET runtime_us = 1", "altered"),
        ("runs", "DELETE FROM celerytrail.runs", "missing"),
        ("run_ends", "UPDATE celerytrail.run_ends SET exception_class = 'x'", "altered"),
        ("groups", "UPDATE celerytrail.groups SET size = 1000", "altered"),
        ("workers", "UPDATE celerytrail.workers SET state = 'x'", "altered"),
        ("workers", "UPDATE celerytrail.workers SET worker = worker || 'x'", "not in the ledger"),
        ("streams", "UPDATE celerytrail.streams SET seqs = seqs + '{[90,91)}'", "altered"),
        ("streams", "UPDATE celerytrail.streams SET last_seq = 1000", "altered"),
        ("streams", "UPDATE celerytrail.streams SET abandoned_at = NULL", "altered"),
        ("streams", "UPDATE celerytrail.streams SET spool_bytes = 0", "altered"),
        ("task_actions", "UPDATE celerytrail.task_actions SET actor = 'nobody'", "altered"),
    ],
)
def test_a_row_that_differs_is_named(busy: MigratedDatabase, table: str, statement: str, what: str):
    busy.run(statement)
    found = checked(busy)
    assert {name for name, count in found.differing.items() if count} == {table}
    assert what in {one.what for one in found.differences}
    assert all(one.columns for one in found.differences if one.what == "altered")


def test_every_column_of_the_read_model_is_compared(busy: MigratedDatabase):
    compared = {
        "streams": read_model_check._STREAMS,
        "task_actions": read_model_check._TASK_ACTIONS,
    }
    for table, names in compared.items():
        columns = busy.rows(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname <> 'refused'",
            f"celerytrail.{table}",
        )
        assert sorted(name for (name,) in columns) == sorted(names)


def test_what_was_dropped_is_not_compared(migrated: MigratedDatabase, ledger: Ledger):
    old_day = NOON - timedelta(days=5)
    old = [span_row(seq, "sent", at=old_day, task_id="old") for seq in (1, 2)]
    ledger.write_spans(migrated.token, [*old, *task_rows(3)])
    migrated.run(
        f"DROP TABLE celerytrail.spans_{old_day:%Y%m%d};"
        "UPDATE celerytrail.horizon SET retained_from = current_date - 3"
    )
    assert checked(migrated).differences == ()
    migrated.run("UPDATE celerytrail.streams SET seqs = '{[1,5)}'")
    assert [one.table for one in checked(migrated).differences] == ["streams"]


def test_numbers_that_were_refused_are_nowhere_else(migrated: MigratedDatabase, ledger: Ledger):
    ledger.write_spans(migrated.token, task_rows(1))
    migrated.run(
        "UPDATE celerytrail.streams SET refused = '{[5,9)}', last_seq = 8;"
        "INSERT INTO celerytrail.streams (stream_id, namespace, service, environment, refused, last_seq)"
        " VALUES (gen_random_uuid(), 'acme', 'shop', 'test', '{[1,3)}', 2)"
    )
    assert checked(migrated).differences == ()


def test_the_command_tells_a_lying_read_model_from_a_broken_chain(
    chained: ChainedLedger, tmp_path: Path
):
    def run(*arguments: str) -> tuple[int, str]:
        dsn = chained.database.dsn("verifier")
        result = CliRunner().invoke(verify, ["--dsn", dsn, "--read-model", *arguments])
        return result.exit_code, result.stdout

    code, said = run()
    assert (code, "read model: " in said, "as the ledger has them" in said) == (3, True, True)
    chained.database.run("UPDATE celerytrail.tasks SET queue = 'secret-queue'")
    code, said = run()
    assert code == 5
    assert "5 of 11 rows are not as the ledger has them (5 of tasks)" in said
    assert "altered (queue)" in said
    assert "secret-queue" not in said
    code, said = run("--json")
    assert (code, json.loads(said)["read_model"]["differing"]["tasks"]) == (5, 5)
    chained.tamper("UPDATE celerytrail.chain_head SET n = 5")
    assert run()[0] == 1
    assert run("--every", "1")[0] == 2


def test_a_role_without_the_right_to_read_is_told_so(chained: ChainedLedger):
    dsn = chained.database.dsn("maintainer")
    result = CliRunner().invoke(verify, ["--dsn", dsn, "--read-model", "--way", "sql"])
    assert (result.exit_code, "celerytrail_verifier" in result.output) == (4, True)
