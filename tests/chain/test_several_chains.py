"""A ledger that several writers fill, each in a chain of its own, is verified as one."""

from __future__ import annotations

import json
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql import head_file
from celerytrail.sql.verification import DroppedDay, Fault, Verdict
from celerytrail.sql.verify import verify_ledger
from celerytrail.sql.verify_daemon import Schedule, VerifyDaemon
from celerytrail.sql.verify_report import report_lines
from tests.chain.chained_ledger import ChainedLedger, append_action
from tests.span_rows import NOON, task_rows

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

CHAINS = (0, 1, 2, 3)
BATCHES = 3
GONE = """
CREATE TEMP TABLE gone ON COMMIT DROP AS
SELECT batch_id FROM celerytrail.chain WHERE chain = {chain} AND n > {n};;
DELETE FROM celerytrail.spans WHERE batch_id IN (SELECT batch_id FROM gone);;
DELETE FROM celerytrail.leaf_groups WHERE batch_id IN (SELECT batch_id FROM gone);;
DELETE FROM celerytrail.blocks WHERE batch_id IN (SELECT batch_id FROM gone);;
DELETE FROM celerytrail.chain WHERE batch_id IN (SELECT batch_id FROM gone)
"""


@pytest.fixture
def writers(migrated: MigratedDatabase):
    """What four sinks have: a pool each, and a chain each."""
    with ExitStack() as stack:
        ledgers = {}
        for chain in CHAINS:
            ledger = Ledger(migrated.dsn("sink"), timeout_seconds=20, chains=[chain])
            ledgers[chain] = stack.enter_context(closing(ledger))
            ledger.open()
        yield ledgers


@pytest.fixture
def four(migrated: MigratedDatabase, writers: dict[int, Ledger]) -> ChainedLedger:
    """Three batches of four rows in each of four chains, written at once."""
    with ThreadPoolExecutor(len(CHAINS)) as threads:
        list(threads.map(lambda chain: write(migrated, writers, chain), CHAINS))
    return ChainedLedger(migrated, "")


def write(
    database: MigratedDatabase, writers: dict[int, Ledger], chain: int, batches: int = BATCHES
) -> None:
    stream = uuid.uuid4()
    for number in range(batches):
        rows = task_rows(1 + 4 * number, stream=stream)
        assert writers[chain].write_spans(database.token, rows).inserted == 4


def ends(found) -> list[tuple[int, int]]:
    return [(head.chain, head.n) for head in found.heads.chains]


def test_four_writers_at_once(four: ChainedLedger, tmp_path: Path):
    found = four.verify()
    assert (found.bad, found.verdict) == ((), Verdict.INTERNAL)
    assert ends(found) == [(chain, BATCHES) for chain in CHAINS]
    assert [reading.rows for reading in found.readings] == [48, 48]
    assert [dict(reading.chain_rows) for reading in found.readings] == 2 * [
        dict.fromkeys(CHAINS, 12)
    ]
    head_file.write(tmp_path / "heads", found.heads)
    again = four.verify(against=head_file.read(tmp_path / "heads"), jobs=2)
    assert (again.bad, again.verdict) == ((), Verdict.CLEAN)


def test_only_what_is_new_in_each_chain_is_read(
    four: ChainedLedger, migrated: MigratedDatabase, writers: dict[int, Ledger]
):
    kept = four.verify().heads
    write(migrated, writers, 1, 2)
    write(migrated, writers, 3, 1)
    found = four.verify(since=kept)
    assert (found.bad, found.verdict) == ((), Verdict.CLEAN)
    assert [reading.rows for reading in found.readings] == [12, 12]
    assert [dict(reading.chain_rows) for reading in found.readings] == 2 * [
        {0: 0, 1: 8, 2: 0, 3: 4}
    ]
    assert "; 8 rows of it" in "\n".join(report_lines(found))
    assert ends(found) == [(0, 3), (1, 5), (2, 3), (3, 4)]
    four.tamper(
        "UPDATE celerytrail.spans SET pid = 1 WHERE batch_id = (SELECT max(batch_id) FROM celerytrail.chain WHERE chain = 1)"
    )
    assert {(bad.fault, bad.chain, bad.n) for bad in four.verify(since=kept).bad} == {
        (Fault.ROW_ALTERED, 1, 5)
    }


@pytest.mark.parametrize("chain", CHAINS)
def test_a_row_that_was_altered_is_named_with_its_chain(four: ChainedLedger, chain: int):
    four.tamper(
        "UPDATE celerytrail.spans SET pid = 1 WHERE event_id = (SELECT s.event_id FROM"
        f" celerytrail.spans s JOIN celerytrail.chain c USING (batch_id) WHERE c.chain = {chain}"
        " AND c.n = 2 ORDER BY s.event_id OFFSET 1 LIMIT 1)"
    )
    (bad,) = four.verify().bad
    assert (bad.fault, bad.chain, bad.n, bad.position) == (Fault.ROW_ALTERED, chain, 2, 2)
    others = [other for other in CHAINS if other != chain]
    assert [four.verify(chain=other).bad for other in others] == [(), (), ()]


def test_a_cut_tail_of_one_chain_is_seen_by_the_kept_heads(four: ChainedLedger):
    kept = four.verify().heads
    four.tamper(
        GONE.format(chain=2, n=2)
        + ";;UPDATE celerytrail.chain_head h SET n = c.n, hash = c.hash, linked_at = c.linked_at"
        " FROM celerytrail.chain c WHERE c.chain = 2 AND h.chain = 2 AND c.n = 2"
    )
    assert four.verify().verdict is Verdict.INTERNAL
    for options in ({"against": kept}, {"since": kept}):
        (bad,) = four.verify(**options).bad
        assert (bad.fault, bad.chain, bad.n) == (Fault.OFF_CHAIN, 2, 3)


def test_a_chain_that_is_gone_entirely_is_seen_by_the_kept_heads(four: ChainedLedger):
    kept = four.verify().heads
    four.tamper(GONE.format(chain=3, n=0) + ";;DELETE FROM celerytrail.chain_head WHERE chain = 3")
    assert ends(four.verify()) == [(0, 3), (1, 3), (2, 3)]
    (bad,) = four.verify(against=kept).bad
    assert (bad.fault, bad.chain, bad.n) == (Fault.OFF_CHAIN, 3, 3)


def test_a_block_cannot_be_moved_to_another_chain(four: ChainedLedger):
    batch = "(SELECT batch_id FROM celerytrail.chain WHERE chain = 1 AND n = 3)"
    four.tamper(f"UPDATE celerytrail.blocks SET chain = 2 WHERE batch_id = {batch}")
    assert {(bad.fault, bad.chain, bad.n) for bad in four.verify().bad} == {
        (Fault.LINK, 1, 3),
        (Fault.BLOCK_UNLINKED, None, None),
    }


def test_links_cannot_be_swapped_between_chains(four: ChainedLedger):
    four.tamper(
        "UPDATE celerytrail.chain SET chain = -1 WHERE chain = 1 AND n = 3;;"
        "UPDATE celerytrail.chain SET chain = 1 WHERE chain = 2 AND n = 3;;"
        "UPDATE celerytrail.chain SET chain = 2 WHERE chain = -1"
    )
    found = {(bad.fault, bad.chain) for bad in four.verify().bad}
    assert found >= {(Fault.LINK, 1), (Fault.NOT_NEXT, 1), (Fault.LINK, 2), (Fault.NOT_NEXT, 2)}


def test_a_head_that_is_gone_is_named(four: ChainedLedger):
    four.tamper("DELETE FROM celerytrail.chain_head WHERE chain = 1")
    (bad,) = four.verify().bad
    assert (bad.fault, bad.chain, bad.detail) == (Fault.HEAD, 1, "it has none")


def test_a_chain_that_begins_later_counts_from_when_its_head_is_kept(
    four: ChainedLedger, migrated: MigratedDatabase
):
    kept = four.verify().heads
    with closing(Ledger(migrated.dsn("sink"), timeout_seconds=20, chains=[63])) as ledger:
        ledger.open()
        write(migrated, {63: ledger}, 63, 1)
    found = four.verify(since=kept)
    assert (found.bad, found.verdict, found.unanchored) == ((), Verdict.INTERNAL, (63,))
    assert four.verify(since=found.heads).verdict is Verdict.CLEAN


def test_a_day_that_retention_dropped_from_several_chains_is_told_of_once(
    four: ChainedLedger, migrated: MigratedDatabase, writers: dict[int, Ledger]
):
    yesterday = NOON - timedelta(days=1)
    day = yesterday.date().isoformat()
    for chain in (1, 2):
        rows = task_rows(1, stream=uuid.uuid4(), at=yesterday)
        assert writers[chain].write_spans(migrated.token, rows).inserted == 4
    suffix = day.replace("-", "")
    append_action(migrated, "retention", phase="done", target=json.dumps({"day": day}))
    tables = f"celerytrail.spans_{suffix}, celerytrail.leaf_groups_{suffix}"
    migrated.run(f"DROP TABLE {tables}, celerytrail.payloads_{suffix}")
    found = four.verify()
    assert (found.bad, found.verdict) == ((), Verdict.INTERNAL)
    assert found.readings[0].dropped == (DroppedDay(day, 2, 8, "ann"),)


def test_actions_stay_in_the_first_chain(four: ChainedLedger, migrated: MigratedDatabase):
    append_action(migrated, target='{"task_id": "t-1"}')
    assert migrated.rows("SELECT DISTINCT chain FROM celerytrail.blocks WHERE kind = 2") == [(0,)]
    assert four.verify().bad == ()


def test_each_chain_is_recorded_for_dashboards(four: ChainedLedger, migrated: MigratedDatabase):
    four.tamper(
        "UPDATE celerytrail.spans SET pid = 1 WHERE batch_id ="
        " (SELECT batch_id FROM celerytrail.chain WHERE chain = 2 AND n = 1)"
    )
    daemon = VerifyDaemon(
        migrated.dsn("verifier"),
        Schedule(600, 600),
        ways=["sql", "outside"],
        chain=None,
        jobs=1,
        kept=None,
        head_out=None,
        say=lambda _: daemon.stop(),
        complain=pytest.fail,
    )
    daemon.loop()
    recorded = migrated.rows(
        "SELECT chain, to_n, status, first_bad IS NULL, rows FROM celerytrail.verifications ORDER BY 1"
    )
    assert recorded == [
        (0, 3, "internal", True, 12),
        (1, 3, "internal", True, 12),
        (2, 3, "broken", False, 12),
        (3, 3, "internal", True, 12),
    ]


def test_a_dump_of_several_chains_that_was_restored(four: ChainedLedger, tmp_path: Path):
    server = four.database.server
    dump = server.bin_dir / "pg_dump"
    if not dump.exists():
        pytest.skip("this Postgres comes without pg_dump")
    kept = four.verify().heads
    file = tmp_path / "ledger.dump"
    subprocess.run([dump, "--format=custom", f"--file={file}", four.database.dsn()], check=True)
    name = f"test_{uuid.uuid4().hex[:12]}"
    restored = server.create_database(name)
    try:
        command = [dump.with_name("pg_restore"), "--exit-on-error", f"--dbname={restored}", file]
        subprocess.run(command, check=True)
        found = verify_ledger(server.dsn(name, "celerytrail_verifier"), against=kept)
        assert (found.bad, found.verdict) == ((), Verdict.CLEAN)
    finally:
        server.drop_database(name)


def test_without_a_choice_the_principal_says_which_chain(
    migrated: MigratedDatabase, ledger: Ledger, writers: dict[int, Ledger]
):
    write(migrated, writers, 2, 1)
    migrated.run("UPDATE celerytrail.principals SET chain = 2")
    write(migrated, {2: ledger}, 2, 1)
    write(migrated, writers, 1, 1)
    assert ends(verify_ledger(migrated.dsn("verifier"))) == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("chain", [-1, 64, None])
def test_a_chain_out_of_bounds_is_refused(migrated: MigratedDatabase, chain: int | None):
    with (
        migrated.connect("sink") as sink,
        pytest.raises(psycopg.Error, match="a chain is a number from 0 to 63") as refused,
    ):
        sink.execute("SELECT celerytrail.choose_chain(%s)", [chain])
    assert refused.value.sqlstate == "CT007"
    assert migrated.rows("SELECT chain FROM celerytrail.chain_head") == [(0,)]


def test_a_transaction_that_is_rolled_back_leaves_no_chain(migrated: MigratedDatabase):
    with migrated.connect("sink") as first, migrated.connect("sink") as second:
        with first.transaction(force_rollback=True):
            first.execute("SELECT celerytrail.choose_chain(5)")
        assert migrated.rows("SELECT chain FROM celerytrail.chain_head") == [(0,)]
        with second.transaction():
            second.execute("SELECT celerytrail.choose_chain(5)")
        first.execute("SELECT celerytrail.choose_chain(5)")
    assert migrated.rows("SELECT chain FROM celerytrail.chain_head ORDER BY 1") == [(0,), (5,)]
    assert verify_ledger(migrated.dsn("verifier")).bad == ()


def test_a_session_chooses_for_itself_only_and_by_no_setting(migrated: MigratedDatabase):
    with migrated.connect("sink") as sink, migrated.connect("sink") as other:
        sink.execute("SELECT celerytrail.choose_chain(7)")
        other.execute("SET celerytrail.chain_now = 7")
        for statement in (
            "SELECT setval('celerytrail.chain_now', 7)",
            "SELECT nextval('celerytrail.chain_now')",
            "SELECT celerytrail.chain_of_session(0)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute(statement)
    with migrated.connect() as owner:
        assert owner.execute("SELECT celerytrail.chain_of_session(3)").fetchone() == (3,)


def test_a_chain_that_is_gone_is_recorded_with_those_that_are_left(
    four: ChainedLedger, migrated: MigratedDatabase
):
    kept = four.verify().heads
    four.tamper(GONE.format(chain=3, n=0) + ";;DELETE FROM celerytrail.chain_head WHERE chain = 3")
    daemon = VerifyDaemon(
        migrated.dsn("verifier"),
        Schedule(600, 600),
        ways=["sql", "outside"],
        chain=None,
        jobs=1,
        kept=kept,
        head_out=None,
        say=lambda _: daemon.stop(),
        complain=pytest.fail,
    )
    daemon.loop()
    recorded = migrated.rows(
        "SELECT chain, status, first_bad ->> 'chain' FROM celerytrail.verifications ORDER BY 1"
    )
    assert recorded == [(chain, "broken", "3") for chain in (0, 1, 2)]
