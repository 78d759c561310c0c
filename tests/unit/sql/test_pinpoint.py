"""The rows that differ from their kept leaves are named, and only those."""

from __future__ import annotations

import hashlib
import uuid

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.sql.chain_hash import Group, group_root
from celerytrail.sql.pinpoint import Kept, group_faults
from celerytrail.sql.verification import Fault

Rows = list[tuple[bytes, bytes]]
KEYS = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=8, unique=True).map(
    sorted
)


def leaf(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def stored(keys: list[bytes]) -> tuple[Rows, Group, Kept]:
    rows = [(key, leaf(key)) for key in keys]
    leaves = b"".join(hash for _, hash in rows)
    root = group_root(leaves)
    return rows, Group(0, len(rows), root), Kept(len(rows), root, leaves)


@given(KEYS, st.data())
def test_altered_rows_are_named_with_their_places(keys, data):
    rows, group, kept = stored(keys)
    altered = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    for place in altered:
        rows[place] = rows[place][0], leaf(b"altered" + rows[place][0])
    found = [
        (one.fault, one.row_id, one.position) for one in group_faults(group, rows, kept, False)
    ]
    assert found == [
        (Fault.ROW_ALTERED, str(uuid.UUID(bytes=keys[place])), place + 1)
        for place in sorted(altered)
    ]


@given(KEYS, st.data())
def test_missing_rows_are_named_by_their_places(keys, data):
    rows, group, kept = stored(keys)
    gone = data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=len(rows) - 1))
    left = [row for place, row in enumerate(rows) if place not in gone]
    found = [(one.fault, one.position) for one in group_faults(group, left, kept, False)]
    assert found == [(Fault.ROW_MISSING, place + 1) for place in sorted(gone)]


@given(KEYS, st.sets(st.binary(min_size=16, max_size=16), max_size=3))
def test_added_rows_are_named(keys, more):
    rows, group, kept = stored(keys)
    added = more - set(keys)
    mixed = sorted(rows + [(key, leaf(b"forged" + key)) for key in added])
    found = {(one.fault, one.row_id) for one in group_faults(group, mixed, kept, False)}
    assert found == {(Fault.ROW_ADDED, str(uuid.UUID(bytes=key))) for key in added}


@given(KEYS)
def test_a_row_stored_twice_is_one_too_many(keys):
    rows, group, kept = stored(keys)
    (found,) = group_faults(group, sorted([*rows, rows[0]]), kept, False)
    assert (found.fault, found.row_id) == (Fault.ROW_ADDED, str(uuid.UUID(bytes=keys[0])))


@given(KEYS, st.booleans())
def test_a_dropped_day_is_gone_and_not_half(keys, dropped):
    rows, group, kept = stored(keys)
    half = [Fault.PARTLY_DROPPED]
    entire = [one.fault for one in group_faults(group, rows, kept, dropped)]
    assert entire == (half if dropped else [])
    gone = [one.fault for one in group_faults(group, [], None, dropped)]
    assert gone == ([] if dropped else [Fault.LEAVES_MISSING, Fault.ROW_MISSING])
    without_leaves = [one.fault for one in group_faults(group, rows, None, dropped)]
    assert without_leaves == (half if dropped else [Fault.LEAVES_MISSING])
    only_leaves = [one.fault for one in group_faults(group, [], kept, dropped)]
    assert only_leaves == (half if dropped else [Fault.ROW_MISSING])


@given(KEYS)
def test_actions_of_a_dropped_day_stay_and_only_their_leaves_go(keys):
    rows, group, kept = stored(keys)

    def faults(rows, kept):
        return [one.fault for one in group_faults(group, rows, kept, True, rows_stay=True)]

    assert faults(rows, None) == []
    assert faults(rows, kept) == [Fault.PARTLY_DROPPED]
    assert faults([], None) == [Fault.LEAVES_MISSING, Fault.ROW_MISSING]
    forged = [(key, leaf(b"forged")) for key in keys]
    assert faults(forged, None) == [Fault.LEAVES_MISSING, Fault.ROW_ALTERED]


@given(KEYS)
def test_leaves_that_were_changed_are_not_believed(keys):
    rows, group, kept = stored(keys)
    forged = Kept(kept.count, kept.root, leaf(b"x") * kept.count)
    assert [one.fault for one in group_faults(group, rows, forged, False)] == [Fault.LEAVES]
    rows[0] = rows[0][0], leaf(b"altered")
    faults = [one.fault for one in group_faults(group, rows, forged, False)]
    assert faults == [Fault.LEAVES, Fault.ROW_ALTERED]
