"""Heads that somebody kept, as hashes that a walk along a chain has to come by.

A database that is asked for one link can answer with the one that was kept, and send another chain
when all of them are read. So each is compared where it is read, and computed, with all others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from celerytrail.sql.head_file import Head, Heads
from celerytrail.sql.verification import Bad, Fault

KeptHashes: TypeAlias = Mapping[int, Mapping[int, frozenset[bytes]]]


def kept_hashes(against: Heads | None, noted: Sequence[Head]) -> KeptHashes:
    """Return by chain and n the hashes that somebody kept of links."""
    found: dict[int, dict[int, frozenset[bytes]]] = {}
    for head in (*(against.chains if against is not None else ()), *noted):
        if head.n > 0:
            of_chain = found.setdefault(head.chain, {})
            of_chain[head.n] = of_chain.get(head.n, frozenset()) | {head.hash}
    return found


class ByN:
    """Hashes by n of one chain, of which there may be one every few seconds for years."""

    def __init__(self, found: Mapping[int, frozenset[bytes]]) -> None:
        self._found = found
        self._ns = sorted(found)

    def within(self, from_n: int, to_n: int) -> dict[int, frozenset[bytes]]:
        """Return those after one n up to another."""
        begin, end = (bisect_right(self._ns, n) for n in (from_n, to_n))
        return {n: self._found[n] for n in self._ns[begin:end]}


def passed_by(
    kept: KeptHashes,
    from_n: Mapping[int, int],
    compared: set[tuple[int, int]],
    bad: Sequence[Bad],
) -> list[Bad]:
    """Return kept links that the database has when it is asked for them, and not on the way to its end."""
    told = {(item.chain, item.n) for item in bad}
    return [
        Bad(Fault.OFF_CHAIN, chain, n, detail="the links that were read do not lead through it")
        for chain, ns in sorted(kept.items())
        if chain in from_n
        for n in sorted(ns)
        if n > from_n[chain] and not {(chain, n)} & (compared | told)
    ]
