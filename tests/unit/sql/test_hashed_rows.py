"""The columns that are hashed are those of the contract, in the code and in the SQL alike."""

from __future__ import annotations

import re
import struct
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.attributes import SPAN_COLUMNS
from celerytrail.sql import chain_hash
from celerytrail.sql.hashed_rows import ACTIONS, HASHED_TABLES, SPANS, HashedTable, Leaf
from celerytrail.sql.named_queries import queries
from celerytrail.sql.verification import CannotVerify

SMALL = HashedTable(
    kind=1,
    name="small",
    key="id",
    day="day",
    columns=(("id", "uuid"), ("day", "date"), ("note", "text"), ("batch_id", "int8")),
)


def test_spans_are_hashed_as_the_sink_fills_them_and_the_database_ends_them():
    columns = [(column.name, column.type) for column in SPAN_COLUMNS]
    added = [("received_at", "timestamptz"), ("principal_id", "int8"), ("batch_id", "int8")]
    assert list(SPANS.columns) == columns + added


@pytest.mark.parametrize("table", HASHED_TABLES.values(), ids=lambda table: table.name)
def test_the_statements_name_the_same_columns_in_the_same_order(table: HashedTable):
    names = [name for name, _ in table.columns]
    statement = queries("verify")[f"outside_{table.name}"].decode()
    (listed,) = re.findall(r"SELECT\s+(.*?)\s+FROM celerytrail", statement, re.DOTALL)
    assert re.split(r",\s+", listed) == names
    if table is SPANS:
        statement = queries("verify")["outside_span_records"].decode()
        (listed,) = re.findall(r"ROW\(\s+(.*?)\s+\)", statement, re.DOTALL)
        assert re.split(r",\s+", listed) == names
    migrations = files("celerytrail.sql").joinpath("migrations")
    for file in sorted(migrations.iterdir(), key=lambda file: file.name):
        for row in re.findall(r"ROW\((r\..*?)\)", file.read_text("utf-8"), re.DOTALL):
            listed = [name.removeprefix("r.") for name in re.split(r",\s+", row.strip())]
            assert listed in [[name for name, _ in one.columns] for one in HASHED_TABLES.values()]


def message(rows: list[list[bytes | None]]) -> bytes:
    data = b""
    for row in rows:
        data += struct.pack("!h", len(row))
        for field in row:
            data += (
                struct.pack("!i", -1) if field is None else struct.pack("!i", len(field)) + field
            )
    return data


FIELDS = st.tuples(
    st.binary(min_size=16, max_size=16),
    st.integers(-(2**31), 2**31 - 1),
    st.none() | st.binary(max_size=30),
    st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(FIELDS, max_size=5))
def test_leaves_of_a_copy_are_the_hashes_of_its_records(given_rows):
    rows = [
        [key, struct.pack("!i", day), note, struct.pack("!q", batch)]
        for key, day, note, batch in given_rows
    ]
    expected = [
        Leaf(batch, day, key, chain_hash.leaf_hash(SMALL.oids, row))
        for (key, day, _, batch), row in zip(given_rows, rows, strict=True)
    ]
    assert list(SMALL.leaves([message(rows), struct.pack("!h", -1)])) == expected


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_day_of_an_action_is_that_of_its_time(microseconds):
    row: list[bytes | None] = [None] * len(ACTIONS.columns)
    names = [name for name, _ in ACTIONS.columns]
    row[names.index("action_time")] = struct.pack("!q", microseconds)
    (leaf,) = ACTIONS.leaves([message([row])])
    if abs(microseconds) < 2**62:
        assert leaf.day * 86_400_000_000 <= microseconds < (leaf.day + 1) * 86_400_000_000
    assert (leaf.day == 2**31 - 1) is (microseconds == 2**63 - 1)
    assert (leaf.day == -(2**31)) is (microseconds == -(2**63))


def test_a_row_of_another_shape_is_refused():
    with pytest.raises(CannotVerify, match="small has 1 columns"):
        list(SMALL.leaves([message([[b""]])]))
