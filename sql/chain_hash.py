"""The hashes of the chain, format version 1, with nothing but hashlib and struct.

Byte for byte what ``docs/design/hash-chain.md`` says and what the triggers of the ledger compute.
Nothing here asks a database: an auditor can check a ledger with this file, a binary COPY and a
head kept elsewhere. Times are int64 microseconds since 2000-01-01 UTC and days int32 days since
then, as Postgres sends them, so that infinite ones need no special care.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

FORMAT_VERSION = 1

LEAF_DOMAIN = b"\x00"
ROOT_DOMAIN = b"\x01"
BODY_DOMAIN = b"\x02"
BLOCK_DOMAIN = b"\x03"
GENESIS_DOMAIN = b"celerytrail/genesis/v1\x00"

HASH_BYTES = 32

KIND_SPANS = 1
KIND_ACTIONS = 2

_INT4 = struct.Struct("!i")
_OID = struct.Struct("!I")
_NULL = _INT4.pack(-1)
_BODY_HEAD = struct.Struct("!qi")
_GROUP_HEAD = struct.Struct("!ii")
_BLOCK_HEAD = struct.Struct("!hhiq")
_BLOCK_TAIL = struct.Struct("!qqi")


@dataclass(frozen=True, slots=True)
class Group:
    """What a block says of one day of its batch: how many rows, and the root over their leaves."""

    day: int
    count: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """Everything that the hash of one block covers. ``prev`` is the hash of the block before."""

    ledger_id: bytes
    format_version: int
    kind: int
    chain: int
    n: int
    prev: bytes
    body_hash: bytes
    sealed_at: int
    linked_at: int
    sealed_by: bytes


def record_bytes(oids: Sequence[int], fields: Sequence[bytes | None]) -> bytes:
    """Return what Postgres' ``record_send`` sends for a row of these type OIDs and fields.

    ``fields`` are the bytes of each type's send function (those of a binary COPY), None for NULL.
    """
    parts = [_INT4.pack(len(fields))]
    for oid, field in zip(oids, fields, strict=True):
        parts.append(_OID.pack(oid))
        if field is None:
            parts.append(_NULL)
        else:
            parts.append(_INT4.pack(len(field)))
            parts.append(field)
    return b"".join(parts)


def leaf_hash(oids: Sequence[int], fields: Sequence[bytes | None]) -> bytes:
    """Return the leaf of one stored row."""
    return sha256(LEAF_DOMAIN + record_bytes(oids, fields)).digest()


def group_root(leaves: bytes) -> bytes:
    """Return the root over the concatenated leaves of one day of one batch."""
    return sha256(ROOT_DOMAIN + leaves).digest()


def body_hash(batch_id: int, count: int, groups: Sequence[Group]) -> bytes:
    """Return the hash of a block's body; ``groups`` in ascending order of day."""
    parts = [BODY_DOMAIN, _BODY_HEAD.pack(batch_id, count)]
    for group in groups:
        parts.append(_GROUP_HEAD.pack(group.day, group.count))
        parts.append(group.root)
    return sha256(b"".join(parts)).digest()


def block_hash(link: Link) -> bytes:
    """Return the hash of a block at its place in the chain."""
    return sha256(
        b"".join(
            (
                BLOCK_DOMAIN,
                link.ledger_id,
                _BLOCK_HEAD.pack(link.format_version, link.kind, link.chain, link.n),
                link.prev,
                link.body_hash,
                _BLOCK_TAIL.pack(link.sealed_at, link.linked_at, len(link.sealed_by)),
                link.sealed_by,
            )
        )
    ).digest()


def genesis_hash(ledger_id: bytes, chain: int) -> bytes:
    """Return what stands for the block before the first one of a chain."""
    return sha256(GENESIS_DOMAIN + ledger_id + _INT4.pack(chain)).digest()
