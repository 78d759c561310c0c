"""One block whose every byte is fixed: triggers, both verifiers and the constants agree, on each server.

If this test fails on a new major version of Postgres, its send functions write other bytes, and the
format needs a new version; the constants are never adjusted.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.attributes import SPAN_COLUMNS
from celerytrail.exporter.sink.event_id import StreamHash
from celerytrail.sql import chain_hash
from celerytrail.sql.verification import Verdict
from tests.chain.chained_ledger import TRIGGERS_BACK, TRIGGERS_OFF, ChainedLedger
from tests.span_rows import SHOP

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases", "tests.postgres_majors"]

LEDGER_ID = uuid.UUID("c0ffee00-0000-4000-8000-000000000001")
LINKED_AT = datetime(2099, 1, 1, tzinfo=timezone.utc)
SEALED_AT = datetime(2026, 11, 22, 0, 0, 0, 1, tzinfo=timezone.utc)
GOLDEN = {
    "leaves": [
        "a6d9791252594dc19c7ff4eeb7c9fcb7c1459a60630578c9f9c253f7caa82465",
        "a31021529c1ff5720ae63c4eed377c359e1f2e24952a322b7f4c45f95ee73975",
    ],
    "root": "b6fb747191f4b73de39ce598347810d849f4af7104b08e808e28f80d2016af26",
    "body_hash": "a6c0150d2f9f657c098e629f7bd9afab6288f1c3c0192ef46430a5cbd4283106",
}
GOLDEN_LINKS = {
    0: {
        "genesis": "0ff3466563c6ed43ebe8e7510aa8995c4f9e66659e7dcc13cf820a4ba66c71e9",
        "hash": "20d3450056b3bcab48e605df7f916f420857c005504dfc726b2a9c5c7ede322b",
    },
    5: {
        "genesis": "ef920827bb6bcd5b4c1517480b7534da6ead38c827ad05533d561ae1e33433a1",
        "hash": "9b5ef239495cc531b9a6980bdd539d8ae6b2fba5f28988bb3e29ff1cffd7aa82",
    },
}
EVENT_ID = uuid.UUID("01a2008d-747b-1e66-64d5-5c2074dec51f")
FIXED = {
    "received_at": datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=timezone.utc),
    "principal_id": 1,
    "batch_id": 1_000_000_007,
}


def rows() -> list[tuple[Any, ...]]:
    """A row with a value in every column, and one with NULL wherever that is allowed."""
    by_type: dict[str, Any] = {
        "text": "zoë ☃ \\ '\"\n",
        "int4": -(2**31),
        "int8": 2**63 - 1,
        "int2": -1,
        "bool": True,
        "bytea": bytes(range(8)),
        "json": '{"b": 1.50, "a": [1e3, -0.0, "\\u0000x"],\t"a": null}',
        "timestamptz": datetime(1969, 7, 20, 20, 17, 40, 1, tzinfo=timezone.utc),
        "uuid": uuid.UUID(int=2**128 - 1),
    }
    fixed = {
        "event_time": datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
        "day": "-infinity",
        "namespace": SHOP.namespace,
        "service": SHOP.service,
        "environment": SHOP.environment,
        "step": "sent",
    }
    values = {column.name: by_type.get(column.type) for column in SPAN_COLUMNS} | fixed
    nothing = dict.fromkeys(column.name for column in SPAN_COLUMNS if column.nullable)
    return [
        tuple((values | {"event_id": uuid.UUID(int=2 << 80 | 7)}).values()),
        tuple((values | nothing | {"event_id": uuid.UUID(int=1 << 80 | 7)}).values()),
    ]


@pytest.mark.parametrize("chain", list(GOLDEN_LINKS))
def test_the_triggers_of_each_version_make_the_golden_block(
    migrated_on_each: MigratedDatabase, chain: int
):
    make_golden_block(migrated_on_each, chain)


def make_golden_block(migrated: MigratedDatabase, chain: int) -> None:
    genesis = chain_hash.genesis_hash(LEDGER_ID.bytes, 0)
    with migrated.connect(autocommit=False) as connection:
        connection.execute(TRIGGERS_OFF)
        connection.execute("UPDATE celerytrail.ledger SET ledger_id = %s", [LEDGER_ID])
        connection.execute(
            "UPDATE celerytrail.chain_head SET hash = %s, linked_at = %s", [genesis, LINKED_AT]
        )
        connection.execute(TRIGGERS_BACK)
    with migrated.connect(autocommit=False) as connection:
        connection.execute("SELECT setval('celerytrail.batch_seq', %s)", [FIXED["batch_id"] - 1])
        connection.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        if chain:
            connection.execute("SELECT celerytrail.choose_chain(%s)", [chain])
        write_golden_rows(connection)
    # The clock and who is connected are what the triggers add by themselves: the block is linked
    # again by its trigger, with fixed ones.
    with migrated.connect(autocommit=False) as connection:
        connection.execute(TRIGGERS_OFF)
        connection.execute("DELETE FROM celerytrail.chain")
        connection.execute(
            "UPDATE celerytrail.chain_head SET n = 0, hash = %s, linked_at = %s WHERE chain = %s",
            [chain_hash.genesis_hash(LEDGER_ID.bytes, chain), LINKED_AT, chain],
        )
        connection.execute(
            "CREATE TEMP TABLE block AS SELECT * FROM celerytrail.blocks; DELETE FROM celerytrail.blocks"
        )
        connection.execute(
            "UPDATE block SET sealed_at = %s, sealed_by = 'celerytrail_sink'", [SEALED_AT]
        )
        connection.execute(TRIGGERS_BACK)
        connection.commit()
        connection.execute("INSERT INTO celerytrail.blocks SELECT * FROM block")
    (found,) = migrated.rows(
        "SELECT g.leaves, g.root, b.body_hash, c.prev, c.hash FROM celerytrail.leaf_groups g"
        " JOIN celerytrail.blocks b USING (batch_id) JOIN celerytrail.chain c USING (batch_id)"
    )
    leaves, root, body, first, hash = (value.hex() for value in found)
    assert {"leaves": [leaves[:64], leaves[64:]], "root": root, "body_hash": body} == GOLDEN
    assert {"genesis": first, "hash": hash} == GOLDEN_LINKS[chain]
    assert ChainedLedger(migrated, "").verify().verdict is Verdict.INTERNAL


def write_golden_rows(connection: psycopg.Connection[Any]) -> None:
    names = [*(column.name for column in SPAN_COLUMNS), *FIXED]
    places = ", ".join(["%s"] * len(names))
    values = [value for row in rows() for value in (*row, *FIXED.values())]
    connection.execute(
        f"INSERT INTO celerytrail.spans ({', '.join(names)}) VALUES ({places}), ({places})".encode(),
        values,
    )


def worked_examples() -> tuple[str, list[str]]:
    """The design page, and its statements."""
    page = Path(__file__).parents[2] / "docs" / "design" / "hash-chain.md"
    text = page.read_text(encoding="utf-8")
    return text, re.findall(r"```sql\n(.*?)```", text, re.DOTALL)


def test_the_worked_example_of_the_design_page(each_postgres: EmbeddedPostgres):
    text, (_, statement) = worked_examples()
    with psycopg.connect(each_postgres.dsn()) as connection:
        connection.execute(statement.encode())
        (found,) = connection.execute("SELECT * FROM example").fetchall()
    assert [value.hex() for value in found if f"`{value.hex()}`" not in text] == []


def test_the_worked_example_of_an_event_id(each_postgres: EmbeddedPostgres):
    text, (statement, _) = worked_examples()
    with psycopg.connect(each_postgres.dsn()) as connection:
        (found,) = connection.execute(statement.encode()).fetchall()
    assert found[0] == EVENT_ID
    assert f"`{EVENT_ID}`" in text
    stream = StreamHash(SHOP.label, uuid.UUID("22222222-3333-4444-5555-666666666666"))
    assert stream.event_id(1_795_305_600_123_456_789, 7) == EVENT_ID
