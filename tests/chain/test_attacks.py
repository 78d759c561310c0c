"""Each thing a superuser can do to the stored ledger is found by both verifiers, which name the place."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.migrate import migrate
from celerytrail.sql.verification import Fault, Verdict
from tests.chain.chained_ledger import TODAY, ChainedLedger, chain_of_six

pytest_plugins = ["tests.databases"]

BATCH = "(SELECT batch_id FROM celerytrail.chain WHERE chain = 0 AND n = {n})"
SECOND = BATCH.format(n=2)
FOURTH = BATCH.format(n=4)
ROW = "UPDATE celerytrail.spans SET {} WHERE event_id = '{{row}}'"
FORGED = (
    "CREATE TEMP TABLE forged ON COMMIT DROP AS"
    " SELECT * FROM celerytrail.spans WHERE event_id = '{row}';;"
    "UPDATE forged SET event_id = 'ffffffff-ffff-4fff-8fff-ffffffffffff', worker = 'mallory'"
)
FORGED_ID = "ffffffff-ffff-4fff-8fff-ffffffffffff"
SPANS_DAY = f"celerytrail.spans_{TODAY.replace('-', '')}"
LEAVES_DAY = f"celerytrail.leaf_groups_{TODAY.replace('-', '')}"


@dataclass(frozen=True)
class Attack:
    """What is done, and the first thing that both verifiers must say. ``{row}`` is row 2 of block 2."""

    name: str
    statements: str
    fault: Fault
    n: int | None
    row: str | None = None
    position: int | None = None


ATTACKS = [
    Attack("column", ROW.format("worker = 'other'"), Fault.ROW_ALTERED, 2, "{row}", 2),
    Attack("null", ROW.format("worker = NULL"), Fault.ROW_ALTERED, 2, "{row}", 2),
    Attack("empty", ROW.format("queue = ''"), Fault.ROW_ALTERED, 2, "{row}", 2),
    Attack("principal", ROW.format("principal_id = 99"), Fault.ROW_ALTERED, 2, "{row}", 2),
    Attack(
        "received",
        ROW.format("received_at = received_at - interval '1 us'"),
        Fault.ROW_ALTERED,
        2,
        "{row}",
        2,
    ),
    Attack(
        "nested json",
        ROW.format("attributes = replace(attributes::text, '[1, 2, 3]', '[1, 2, 4]')::json"),
        Fault.ROW_ALTERED,
        2,
        "{row}",
        2,
    ),
    Attack(
        "a space in json",
        ROW.format("attributes = (attributes::text || ' ')::json"),
        Fault.ROW_ALTERED,
        2,
        "{row}",
        2,
    ),
    Attack(
        "row deleted",
        "DELETE FROM celerytrail.spans WHERE event_id = '{row}'",
        Fault.ROW_MISSING,
        2,
        None,
        2,
    ),
    Attack(
        "row into an old batch",
        FORGED + ";;INSERT INTO celerytrail.spans SELECT * FROM forged",
        Fault.ROW_ADDED,
        2,
        FORGED_ID,
        5,
    ),
    Attack(
        "row of another day into an old batch",
        FORGED + ", day = 'infinity';;INSERT INTO celerytrail.spans SELECT * FROM forged",
        Fault.ROW_ADDED,
        2,
        FORGED_ID,
    ),
    Attack(
        "row with a new batch",
        FORGED + ", batch_id = 4711;;INSERT INTO celerytrail.spans SELECT * FROM forged",
        Fault.ROW_UNBLOCKED,
        None,
        FORGED_ID,
    ),
    Attack(
        "row in the batch of an action",
        FORGED
        + f", batch_id = {BATCH.format(n=5)};;INSERT INTO celerytrail.spans SELECT * FROM forged",
        Fault.ROW_UNBLOCKED,
        None,
        FORGED_ID,
    ),
    Attack(
        "rows swapped between batches",
        f"CREATE TEMP TABLE two ON COMMIT DROP AS SELECT {SECOND} AS a, {FOURTH} AS b;;"
        "UPDATE celerytrail.spans s SET batch_id = CASE s.batch_id WHEN two.a THEN two.b ELSE two.a END"
        " FROM two WHERE s.event_id IN ('{row}', '{other}')",
        Fault.ROW_ALTERED,
        2,
        "{other}",
    ),
    Attack(
        "rows of a batch removed",
        f"DELETE FROM celerytrail.spans WHERE batch_id = {SECOND}",
        Fault.ROW_MISSING,
        2,
    ),
    Attack(
        "rows and leaves of a batch removed",
        f"DELETE FROM celerytrail.spans WHERE batch_id = {SECOND};;"
        f"DELETE FROM celerytrail.leaf_groups WHERE batch_id = {SECOND}",
        Fault.LEAVES_MISSING,
        2,
    ),
    Attack(
        "a batch removed with its block and link",
        f"CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT {SECOND} AS batch_id;;"
        + ";;".join(
            f"DELETE FROM celerytrail.{table} WHERE batch_id IN (SELECT batch_id FROM gone)"
            for table in ("spans", "leaf_groups", "blocks", "chain")
        ),
        Fault.GAP,
        2,
    ),
    Attack(
        "block removed",
        f"DELETE FROM celerytrail.blocks WHERE batch_id = {SECOND}",
        Fault.NO_BLOCK,
        2,
    ),
    Attack("link removed", "DELETE FROM celerytrail.chain WHERE chain = 0 AND n = 3", Fault.GAP, 3),
    Attack("partition truncated", f"TRUNCATE {SPANS_DAY}", Fault.ROW_MISSING, 1),
    Attack("partition dropped", f"DROP TABLE {SPANS_DAY}", Fault.ROW_MISSING, 1),
    Attack("day dropped", f"DROP TABLE {SPANS_DAY}, {LEAVES_DAY}", Fault.LEAVES_MISSING, 1),
    Attack("truncated", "TRUNCATE celerytrail.spans", Fault.ROW_MISSING, 1),
    Attack(
        "action changed",
        "UPDATE celerytrail.actions SET actor = 'somebody else' WHERE action_id = '{action}'",
        Fault.ROW_ALTERED,
        5,
        "{action}",
        1,
    ),
    Attack("action removed", "DELETE FROM celerytrail.actions", Fault.ROW_MISSING, 5),
    Attack(
        "leaves changed",
        "UPDATE celerytrail.leaf_groups SET leaves = set_bit(leaves, 300, 1 - get_bit(leaves, 300))"
        f" WHERE batch_id = {SECOND}",
        Fault.LEAVES,
        2,
    ),
    Attack(
        "leaves changed to fit a changed row",
        ROW.format("worker = 'other'")
        + ";;UPDATE celerytrail.leaf_groups g SET leaves = l.leaves, root = sha256('\\x01'::bytea || l.leaves)"
        " FROM (SELECT batch_id, string_agg(leaf, ''::bytea ORDER BY row_id) AS leaves"
        f" FROM celerytrail.stored_leaves WHERE batch_id = {SECOND} GROUP BY batch_id) l"
        " WHERE g.batch_id = l.batch_id",
        Fault.LEAVES,
        2,
    ),
    Attack(
        "roots changed",
        f"UPDATE celerytrail.blocks SET roots[1] = sha256('') WHERE batch_id = {SECOND}",
        Fault.BODY,
        2,
    ),
    Attack(
        "count changed",
        f"UPDATE celerytrail.blocks SET cnt = 3 WHERE batch_id = {SECOND}",
        Fault.BODY,
        2,
    ),
    Attack(
        "days removed",
        "UPDATE celerytrail.blocks SET days = '{{}}', cnts = '{{}}', roots = '{{}}'"
        f" WHERE batch_id = {SECOND}",
        Fault.BODY,
        2,
    ),
    Attack(
        "who sealed it changed",
        f"UPDATE celerytrail.blocks SET sealed_by = 'x' WHERE batch_id = {SECOND}",
        Fault.LINK,
        2,
    ),
    Attack(
        "kind changed",
        f"UPDATE celerytrail.blocks SET kind = 9 WHERE batch_id = {SECOND}",
        Fault.LINK,
        2,
    ),
    Attack(
        "moved to another chain",
        f"UPDATE celerytrail.blocks SET chain = 1 WHERE batch_id = {SECOND}",
        Fault.LINK,
        2,
    ),
    Attack(
        "time of the link changed",
        "UPDATE celerytrail.chain SET linked_at = linked_at + interval '1 us' WHERE n = 3",
        Fault.LINK,
        3,
    ),
    Attack(
        "time of the link set back",
        "UPDATE celerytrail.chain SET linked_at = linked_at - interval '1 hour' WHERE n = 3",
        Fault.TIME_BACK,
        3,
    ),
    Attack(
        "previous hash changed",
        "UPDATE celerytrail.chain SET prev = sha256('') WHERE n = 3",
        Fault.NOT_NEXT,
        3,
    ),
    Attack(
        "order of blocks changed",
        "UPDATE celerytrail.chain SET n = n + 100 WHERE n IN (2, 3);;"
        "UPDATE celerytrail.chain SET n = CASE n WHEN 102 THEN 3 ELSE 2 END WHERE n > 100",
        Fault.NOT_NEXT,
        2,
    ),
    Attack("head set back", "UPDATE celerytrail.chain_head SET n = 5", Fault.HEAD, 6),
    Attack("head removed", "DELETE FROM celerytrail.chain_head", Fault.HEAD, 6),
    Attack(
        "block without a link",
        "INSERT INTO celerytrail.blocks SELECT 4711, chain, kind, format_version, cnt, days, cnts,"
        " roots, body_hash, sealed_by, sealed_at FROM celerytrail.blocks LIMIT 1",
        Fault.BLOCK_UNLINKED,
        None,
    ),
    Attack(
        "leaves without a block",
        "INSERT INTO celerytrail.leaf_groups SELECT 4711, day, cnt, root, leaves"
        " FROM celerytrail.leaf_groups LIMIT 1",
        Fault.LEAVES_UNBLOCKED,
        None,
    ),
]


@pytest.fixture(scope="module")
def shared(postgres: EmbeddedPostgres) -> Iterator[ChainedLedger]:
    """One ledger for all attacks: each puts back what it did, and checks that it was put back."""
    from tests.databases import MigratedDatabase

    name = f"test_{uuid.uuid4().hex[:12]}"
    migrate(postgres.create_database(name))
    empty = MigratedDatabase(postgres, name, b"")
    database = MigratedDatabase(postgres, name, empty.new_token(name="shop"))
    ledger = Ledger(database.dsn("sink"), timeout_seconds=20)
    ledger.open()
    yield chain_of_six(database, ledger)
    ledger.close()
    postgres.drop_database(name)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_both_verifiers_name_what_was_done(shared: ChainedLedger, attack: Attack):
    chained = shared
    assert chained.verify().verdict is Verdict.INTERNAL
    names = {
        "row": chained.row(2, 2),
        "other": chained.row(4, 3),
        "action": chained.action_id,
    }
    with chained.restored_afterwards():
        chained.tamper(attack.statements.format(**names))
        found = chained.verify()
        assert found.verdict is Verdict.BROKEN
        first = found.readings[0].bad[0]
        row_id = attack.row.format(**names) if attack.row else None
        assert (first.fault, first.n, first.row_id) == (attack.fault, attack.n, row_id)
        if attack.position is not None:
            assert first.position == attack.position
    after = chained.verify()
    assert (after.verdict, after.bad) == (Verdict.INTERNAL, ())


def test_more_than_one_place_is_named_in_the_order_of_the_chain(chained: ChainedLedger):
    rows = chained.row(4, 1), chained.row(1, 4), chained.row(1, 2)
    listed = ", ".join(f"'{row}'" for row in rows)
    chained.tamper(f"UPDATE celerytrail.spans SET host = 'x' WHERE event_id IN ({listed})")
    bad = chained.verify().bad
    assert [(item.n, item.position, item.row_id) for item in bad] == [
        (1, 2, rows[2]),
        (1, 4, rows[1]),
        (4, 1, rows[0]),
    ]


def test_several_faults_in_one_block_are_told_apart(chained: ChainedLedger):
    altered, gone = chained.row(2, 1), chained.row(2, 4)
    chained.tamper(
        f"DELETE FROM celerytrail.spans WHERE event_id = '{gone}';;"
        f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id = '{altered}'"
    )
    found = [(item.fault, item.row_id, item.position) for item in chained.verify().bad]
    assert found == [(Fault.ROW_ALTERED, altered, 1), (Fault.ROW_MISSING, None, 4)]


def test_a_row_written_while_the_seal_was_off_is_found_and_so_is_the_trigger(
    chained: ChainedLedger,
):
    with chained.database.connect(autocommit=False) as connection:
        connection.execute("ALTER TABLE celerytrail.spans DISABLE TRIGGER seal")
        connection.execute("SELECT celerytrail.authenticate(%s)", [chained.database.token])
        connection.execute(
            "CREATE TEMP TABLE forged ON COMMIT DROP AS SELECT * FROM celerytrail.spans LIMIT 1"
        )
        connection.execute(
            "UPDATE forged SET event_id = gen_random_uuid(), batch_id = 4711, seq = 4711"
        )
        connection.execute("INSERT INTO celerytrail.spans SELECT * FROM forged")
    found = chained.verify()
    assert [item.fault for item in found.readings[0].bad] == [Fault.ROW_UNBLOCKED]
    assert found.catalog == ("changed trigger seal on celerytrail.spans",)
