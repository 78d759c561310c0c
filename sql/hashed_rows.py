"""Which columns of which table a leaf covers, by format version and kind of block.

A fixed list: a verifier that asked the database what to hash could be told anything. A new column
of a hashed table needs a new format version here and in the triggers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from celerytrail.sql import chain_hash
from celerytrail.sql.verification import CannotVerify

OIDS = {
    "bool": 16,
    "bytea": 17,
    "int8": 20,
    "int2": 21,
    "int4": 23,
    "text": 25,
    "json": 114,
    "date": 1082,
    "timestamptz": 1184,
    "uuid": 2950,
}
"""OIDs of the built-in types that may be hashed; the same in every Postgres."""

_DAY_MICROSECONDS = 86_400_000_000
_FOREVER = (2**63 - 1, -(2**63))
_LENGTH = struct.Struct("!i")
_COUNT = struct.Struct("!h")
_NULL = b"\xff\xff\xff\xff"


class Leaf(NamedTuple):
    """One stored row as its block knows it; ``key`` orders the leaves of a day.

    A tuple, since one is made for every row: a frozen dataclass takes three times as long.
    """

    batch_id: int
    day: int
    key: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class HashedTable:
    """A table whose rows are leaves: (name, type) of its columns in the order they are hashed.

    ``key`` is the column that orders the leaves; ``day`` is the one that says the UTC day, a date
    or a timestamptz.
    """

    kind: int
    name: str
    key: str
    day: str
    columns: tuple[tuple[str, str], ...]

    @property
    def oids(self) -> tuple[int, ...]:
        """Return the type OIDs that ``record_send`` writes for a row."""
        return tuple(OIDS[type_] for _, type_ in self.columns)

    def leaves(self, messages: Iterable[bytes]) -> Iterator[Leaf]:
        """Yield the leaf of each row of a binary copy of all columns in order.

        ``messages`` are what ``binary_copy.messages`` yields. Raises CannotVerify where the rows
        have another number of columns.
        """
        names = [name for name, _ in self.columns]
        width = len(names)
        # After the head, parts alternates: type OID, then length and bytes as they were copied.
        key_at, day_at, batch_at = (
            2 + 2 * names.index(name) for name in (self.key, self.day, "batch_id")
        )
        day_is_time = self.columns[names.index(self.day)][1] == "timestamptz"
        empty = [chain_hash.LEAF_DOMAIN + _LENGTH.pack(width)]
        for oid in self.oids:
            empty += [struct.pack("!I", oid), b""]
        places = range(2, len(empty), 2)
        length_at, count_at, integer = _LENGTH.unpack_from, _COUNT.unpack_from, int.from_bytes
        for message in messages:
            offset, end = 0, len(message)
            while offset < end:
                (count,) = count_at(message, offset)
                if count < 0:
                    break
                if count != width:
                    raise CannotVerify(
                        f"{self.name} has {count} columns where format"
                        f" {chain_hash.FORMAT_VERSION} has {width}"
                    )
                offset += 2
                parts = empty.copy()
                for place in places:
                    (length,) = length_at(message, offset)
                    after = offset + 4 + length if length > 0 else offset + 4
                    parts[place] = message[offset:after]
                    offset = after
                day = integer(parts[day_at][4:], "big", signed=True)
                yield Leaf(
                    integer(parts[batch_at][4:], "big", signed=True),
                    _day_of(day) if day_is_time else day,
                    parts[key_at][4:],
                    sha256(b"".join(parts)).digest(),
                )


def _day_of(microseconds: int) -> int:
    if microseconds in _FOREVER:
        return 2**31 - 1 if microseconds > 0 else -(2**31)
    return microseconds // _DAY_MICROSECONDS


SPANS = HashedTable(
    kind=chain_hash.KIND_SPANS,
    name="spans",
    key="event_id",
    day="day",
    columns=(
        ("event_id", "uuid"),
        ("event_time", "timestamptz"),
        ("day", "date"),
        ("namespace", "text"),
        ("service", "text"),
        ("environment", "text"),
        ("stream_id", "uuid"),
        ("seq", "int8"),
        ("step", "text"),
        ("inferred", "bool"),
        ("trace_id", "bytea"),
        ("span_id", "bytea"),
        ("parent_span_id", "bytea"),
        ("span_name", "text"),
        ("span_kind", "int2"),
        ("status_code", "int2"),
        ("start_unix_nano", "int8"),
        ("end_unix_nano", "int8"),
        ("process_kind", "text"),
        ("worker", "text"),
        ("host", "text"),
        ("pid", "int4"),
        ("task_id", "text"),
        ("task_name", "text"),
        ("retries", "int4"),
        ("queue", "text"),
        ("root_id", "text"),
        ("parent_id", "text"),
        ("group_id", "text"),
        ("root_group_id", "text"),
        ("chord_body_id", "text"),
        ("send_id", "bytea"),
        ("sent_unix_nano", "int8"),
        ("run_id", "bytea"),
        ("eta", "timestamptz"),
        ("priority", "int4"),
        ("queue_wait_us", "int8"),
        ("runtime_us", "int8"),
        ("exception_class", "text"),
        ("about_stream_id", "uuid"),
        ("commitments", "json"),
        ("links", "json"),
        ("marks", "text"),
        ("attributes", "json"),
        ("received_at", "timestamptz"),
        ("principal_id", "int8"),
        ("batch_id", "int8"),
    ),
)

ACTIONS = HashedTable(
    kind=chain_hash.KIND_ACTIONS,
    name="actions",
    key="action_id",
    day="action_time",
    columns=(
        ("action_id", "uuid"),
        ("intent_id", "uuid"),
        ("action_time", "timestamptz"),
        ("phase", "text"),
        ("verb", "text"),
        ("actor", "text"),
        ("actor_kind", "text"),
        ("role", "text"),
        ("namespace", "text"),
        ("service", "text"),
        ("environment", "text"),
        ("request_id", "text"),
        ("target", "json"),
        ("detail", "json"),
        ("reason_commitment", "bytea"),
        ("recorded_by", "text"),
        ("batch_id", "int8"),
    ),
)

HASHED_TABLES: dict[tuple[int, int], HashedTable] = {
    (1, chain_hash.KIND_SPANS): SPANS,
    (1, chain_hash.KIND_ACTIONS): ACTIONS,
}
"""By (format version, kind of block)."""
