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
from celerytrail.sql.read_model_slices import SliceFile
from celerytrail.sql.verification import CannotVerify, Progress
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


@pytest.mark.parametrize("rows_in_a_slice", [1, 7, 1000])
def test_slices_give_what_the_whole_does(busy: MigratedDatabase, rows_in_a_slice: int):
    busy.run(
        "UPDATE celerytrail.tasks SET state = 'lied' WHERE task_id < 'm';"
        "DELETE FROM celerytrail.runs; UPDATE celerytrail.workers SET worker = worker || 'x';"
        "UPDATE celerytrail.streams SET abandoned_at = NULL; DELETE FROM celerytrail.task_actions"
    )
    whole = checked(busy)
    said: list[tuple[int, int]] = []
    found = check_read_model(
        busy.dsn("verifier"),
        lambda done, of: said.append((done, of)),
        rows_in_a_slice=rows_in_a_slice,
    )
    assert (found.rows, found.differing) == (whole.rows, whole.differing)
    assert set(found.differences) >= set(whole.differences)
    assert sum(whole.differing.values()) > 5
    ledger_rows = busy.value("SELECT sum(cnt)::int8 FROM celerytrail.blocks")
    slices = len(whole.rows) * -(-ledger_rows // rows_in_a_slice)
    assert said == [(number + 1, slices) for number in range(slices)]
    assert sum(one.rows for one in found.slices) == sum(whole.rows.values())


def test_a_comparison_that_was_broken_off_goes_on_where_it_was(
    busy: MigratedDatabase, tmp_path: Path
):
    path = tmp_path / "slices"

    class BrokenOff(Exception):
        pass

    def stop(done: int, of: int) -> None:
        if done == of // 2:
            raise BrokenOff

    def run(progress: Progress | None = None) -> ReadModelCheck:
        return check_read_model(
            busy.dsn("verifier"), progress, kept=SliceFile(path), rows_in_a_slice=20
        )

    with pytest.raises(BrokenOff):
        run(stop)
    half = len(path.read_bytes().splitlines()) - 1
    # The last line of a process that was killed may be torn.
    path.write_bytes(path.read_bytes()[:-5])
    found = run()
    assert sum(one.resumed for one in found.slices) == half - 1
    assert (found.differs, found.rows) == (False, checked(busy).rows)

    busy.run("UPDATE celerytrail.tasks SET state = 'lied'")
    assert not run().differs, "all of it was found in order before"
    path.unlink()
    assert run().differs
    busy.run("DELETE FROM celerytrail.task_actions")
    again = run()
    # What was found in order stays so, what differed is looked at again.
    assert again.differing["tasks"] > 0
    assert again.differing["task_actions"] == 0


@pytest.mark.parametrize(
    "content", [b"{}\n", b"no json\n", b'{"format": 1, "slices": 3}\n', b"[1]\n"]
)
def test_a_file_of_something_else_is_no_file_of_slices(
    busy: MigratedDatabase, tmp_path: Path, content: bytes
):
    path = tmp_path / "slices"
    path.write_bytes(content)
    with pytest.raises(CannotVerify, match="name a"):
        check_read_model(busy.dsn("verifier"), kept=SliceFile(path))
    assert path.read_bytes() == content


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
    slices = tmp_path / "slices"
    code, said = run("--json", "--read-model-slices", str(slices))
    told = json.loads(said)["read_model"]["slices"]
    assert (code, {one["resumed"] for one in told}) == (5, {False})
    chained.database.run("UPDATE celerytrail.tasks SET queue = 'orders'")
    code, said = run("--json", "--read-model-slices", str(slices))
    told = json.loads(said)["read_model"]["slices"]
    assert {one["table"] for one in told if not one["resumed"]} == {"tasks"}
    assert code == 3
    chained.database.run("UPDATE celerytrail.tasks SET queue = 'secret-queue'")
    chained.tamper("UPDATE celerytrail.chain_head SET n = 5")
    assert run()[0] == 1
    assert run("--every", "1")[0] == 2


def test_a_role_without_the_right_to_read_is_told_so(chained: ChainedLedger):
    dsn = chained.database.dsn("maintainer")
    result = CliRunner().invoke(verify, ["--dsn", dsn, "--read-model", "--way", "sql"])
    assert (result.exit_code, "celerytrail_verifier" in result.output) == (4, True)
