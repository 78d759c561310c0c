"""The headers of blocks: what a witness replays to see that one checkpoint continues another.

A header is what a block's hash covers, and the hash. It says nothing of the rows, so a witness sees
no event; and he can tell that the rows' hashes were not exchanged since he looked last.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from celerytrail.sql import binary_copy, chain_hash
from celerytrail.sql.checkpoint.errors import FileUnusable
from celerytrail.sql.head_file import Head
from celerytrail.sql.named_queries import queries
from celerytrail.sql.outside_window import integer
from celerytrail.sql.snapshot import Connection

_NUMBERS = (0, 1, 2, 6, 7)
_BYTES = (3, 4, 5, 8)


@dataclass(frozen=True, slots=True)
class Header:
    """One block at its place in a chain. Times are microseconds since 2000-01-01 UTC."""

    chain: int
    n: int
    kind: int
    format_version: int
    prev: bytes
    body_hash: bytes
    hash: bytes
    sealed_at: int
    linked_at: int
    sealed_by: bytes

    def line(self) -> str:
        """Return the header as a line of a headers file."""
        fields = [self.chain, self.n, self.kind, self.format_version]
        hashes = [base64.b64encode(one).decode() for one in (self.prev, self.body_hash, self.hash)]
        by = base64.b64encode(self.sealed_by).decode()
        return json.dumps([*fields, *hashes, self.sealed_at, self.linked_at, by])


def read_headers(connection: Connection, chain: int, from_n: int, to_n: int) -> Iterator[Header]:
    """Yield the headers of a chain after ``from_n`` up to ``to_n``, in the connection's snapshot.

    Raises psycopg.Error where they cannot be read.
    """
    reach = {"chain": chain, "from_n": from_n, "to_n": to_n}
    statement = queries("checkpoint")["outside_headers"]
    with connection.cursor() as cursor, cursor.copy(statement, reach) as copy:
        for fields in binary_copy.rows(copy):
            n, kind, version, sealed_at, linked_at = (integer(fields[at]) for at in _NUMBERS)
            prev, body_hash, hash, by = (fields[at] or b"" for at in _BYTES)
            yield Header(chain, n, kind, version, prev, body_hash, hash, sealed_at, linked_at, by)


def read_headers_file(file: IO[str], path: Path) -> Iterator[Header]:
    """Yield the headers of a file in order. Raises FileUnusable for a line that is none."""
    for number, line in enumerate(file, 1):
        try:
            chain, n, kind, version, *hashes, sealed_at, linked_at, by = json.loads(line)
            prev, body_hash, hash = (base64.b64decode(one, validate=True) for one in hashes)
            yield Header(
                _whole(chain),
                _whole(n),
                _whole(kind),
                _whole(version),
                prev,
                body_hash,
                hash,
                _whole(sealed_at),
                _whole(linked_at),
                base64.b64decode(by, validate=True),
            )
        except (ValueError, TypeError, binascii.Error) as error:
            raise FileUnusable(f"{path}, line {number}: it is no header of a block") from error


def replay(ledger_id: bytes, start: Head, headers: Iterable[Header], end: Head) -> str | None:
    """Return why the headers do not lead from one head to another, None where they do.

    Every link's hash is computed here: whoever exchanges one has to break SHA-256.
    """
    n, hash, linked_at = start.n, start.hash, -(2**63)
    for header in headers:
        if header.n != n + 1:
            return f"chain {start.chain}: block {n + 1} is missing"
        link = chain_hash.Link(
            ledger_id,
            header.format_version,
            header.kind,
            start.chain,
            header.n,
            hash,
            header.body_hash,
            header.sealed_at,
            header.linked_at,
            header.sealed_by,
        )
        if header.prev != hash:
            return f"chain {start.chain}: block {header.n} does not follow the one before it"
        if not _fits(link) or chain_hash.block_hash(link) != header.hash:
            return f"chain {start.chain}: block {header.n} has another hash than its header"
        if header.linked_at < linked_at:
            return f"chain {start.chain}: block {header.n} was linked before the one before it"
        n, hash, linked_at = header.n, header.hash, header.linked_at
        if n == end.n:
            break
    if n != end.n:
        return f"chain {start.chain}: there are headers up to n {n}, the checkpoint is at {end.n}"
    if hash != end.hash:
        return f"chain {start.chain}: at n {n} the checkpoint has another hash than the headers"
    return None


def _fits(link: chain_hash.Link) -> bool:
    """Return whether numbers of somebody's file are in the range that the hash has room for."""
    return (
        all(0 <= one < 2**15 for one in (link.format_version, link.kind))
        and 0 < link.n < 2**63
        and all(-(2**63) <= one < 2**63 for one in (link.sealed_at, link.linked_at))
        and len(link.body_hash) == chain_hash.HASH_BYTES
    )


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value
