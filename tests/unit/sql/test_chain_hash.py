"""The hash functions agree with an independent reading of the format, and bind what they cover."""

from __future__ import annotations

import hashlib
import struct
import uuid
from dataclasses import fields, replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.sql import chain_hash

WORKED_EXAMPLE = {
    "leaf": "cf014bdc8aa6fa70612710ff19bcfa7178197c07106c04a8e5bafd544cf942fb",
    "root": "022834c1f1366c5218703a6b1637912498d4b7596a7f58cc35f4dbd99617fc17",
    "body_hash": "be0bae6ce952b5f6f663a3dfbfba8d1e04f14ac01ea8ae4d39777a74989a903d",
    "genesis": "57203f393fda27ef18830e9b7318db5bf36bddabb38dc2a4207fd3805d95a001",
    "hash": "e0d8fb2846aa7a50d48a332ef9a3cba7ba27b464df48b9d5ef94cf2ab37cbce9",
}
LEDGER = uuid.UUID("11111111-2222-3333-4444-555555555555").bytes
INT4 = st.integers(-(2**31), 2**31 - 1)
INT8 = st.integers(-(2**63), 2**63 - 1)
FIELD = st.none() | st.binary(max_size=40)
HASH = st.binary(min_size=32, max_size=32)
LINKS = st.builds(
    chain_hash.Link,
    ledger_id=st.binary(min_size=16, max_size=16),
    format_version=st.integers(0, 2**15 - 1),
    kind=st.integers(0, 2**15 - 1),
    chain=INT4,
    n=INT8,
    prev=HASH,
    body_hash=HASH,
    sealed_at=INT8,
    linked_at=INT8,
    sealed_by=st.text(max_size=20).map(str.encode),
)


def test_the_worked_example_of_the_design_page():
    leaf = chain_hash.leaf_hash([2950, 25, 23], [LEDGER, "é".encode(), None])
    assert (
        leaf.hex()
        == hashlib.sha256(
            bytes.fromhex(
                "00"
                "00000003"
                "00000b86 00000010 11111111222233334444555555555555"
                "00000019 00000002 c3a9"
                "00000017 ffffffff"
            )
        ).hexdigest()
    )
    root = chain_hash.group_root(leaf)
    body = chain_hash.body_hash(7, 1, [chain_hash.Group(day=9822, count=1, root=root)])
    genesis = chain_hash.genesis_hash(LEDGER, 0)
    link = chain_hash.Link(
        ledger_id=LEDGER,
        format_version=1,
        kind=1,
        chain=0,
        n=1,
        prev=genesis,
        body_hash=body,
        sealed_at=848_620_800_000_000,
        linked_at=848_620_800_000_001,
        sealed_by=b"celerytrail_sink",
    )
    found = {
        "leaf": leaf.hex(),
        "root": root.hex(),
        "body_hash": body.hex(),
        "genesis": genesis.hex(),
        "hash": chain_hash.block_hash(link).hex(),
    }
    assert found == WORKED_EXAMPLE
    page = Path(__file__).parents[3] / "docs" / "design" / "hash-chain.md"
    text = page.read_text(encoding="utf-8")
    assert [name for name, value in WORKED_EXAMPLE.items() if value not in text] == []


@given(st.lists(st.tuples(INT4.map(abs), FIELD), max_size=8))
def test_a_record_can_be_read_back_so_no_two_rows_share_their_bytes(row):
    data = chain_hash.record_bytes([oid for oid, _ in row], [field for _, field in row])
    (count,) = struct.unpack_from("!i", data)
    offset, found = 4, []
    for _ in range(count):
        oid, length = struct.unpack_from("!Ii", data, offset)
        offset += 8
        found.append((oid, None if length < 0 else data[offset : offset + length]))
        offset += max(length, 0)
    assert offset == len(data)
    assert found == row


@given(LINKS, st.data())
def test_every_field_of_a_link_changes_its_hash(link, data):
    name = data.draw(st.sampled_from([field.name for field in fields(link)]))
    other = getattr(data.draw(LINKS), name)
    changed = replace(link, **{name: other})
    same = getattr(link, name) == other
    assert (chain_hash.block_hash(changed) == chain_hash.block_hash(link)) is same


@given(
    INT8,
    st.lists(st.builds(chain_hash.Group, day=INT4, count=INT4, root=HASH), max_size=4),
    st.lists(st.builds(chain_hash.Group, day=INT4, count=INT4, root=HASH), max_size=4),
)
def test_a_body_binds_its_batch_and_its_groups_in_order(batch_id, one, other):
    def body(number, groups):
        return chain_hash.body_hash(number, len(groups), groups)

    assert (body(batch_id, one) == body(batch_id, other)) is (one == other)
    assert body(batch_id, one) != body(batch_id ^ 1, one)


@given(st.binary(max_size=100))
def test_domains_keep_leaves_roots_bodies_and_blocks_apart(data):
    domains = [
        chain_hash.LEAF_DOMAIN,
        chain_hash.ROOT_DOMAIN,
        chain_hash.BODY_DOMAIN,
        chain_hash.BLOCK_DOMAIN,
    ]
    assert len({hashlib.sha256(domain + data).digest() for domain in domains}) == 4


@given(st.binary(min_size=16, max_size=16), INT4, INT4)
def test_each_chain_of_each_ledger_begins_elsewhere(ledger_id, one, other):
    same = chain_hash.genesis_hash(ledger_id, one) == chain_hash.genesis_hash(ledger_id, other)
    assert same is (one == other)
