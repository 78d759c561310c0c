"""Compare everything that notes say with the chains as they are now."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from celerytrail.sql import chain_hash
from celerytrail.sql.checkpoint.errors import FileUnusable
from celerytrail.sql.checkpoint.note_keys import VerifierKey
from celerytrail.sql.checkpoint.statement import Checkpoint, NewEpoch
from celerytrail.sql.checkpoint.trust import Believed, Place, believed
from celerytrail.sql.head_file import Head, Heads
from celerytrail.sql.named_queries import queries
from celerytrail.sql.snapshot import Connection, snapshot
from celerytrail.sql.verification import Bad, Fault

ASKED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Notes from outside that are believed, and where they were found."""

    places: tuple[Place, ...]
    notes: Believed
    witness: VerifierKey | None

    @property
    def epoch(self) -> NewEpoch | None:
        """Return the newest note that began an epoch, None where none did."""
        return max(self.notes.epochs, key=lambda one: (one.epoch, one.time), default=None)

    @property
    def vouching(self) -> tuple[Heads, ...]:
        """Return the heads that vouch: those of the newest epoch, in order of time.

        With a witness asked for those that he signed; an epoch itself is the keeper's word alone.
        """
        notes = self.notes
        newest = max((epoch.epoch for epoch in notes.epochs), default=0)
        said: list[Checkpoint | NewEpoch] = [
            *(notes.checkpoints if notes.cosigned is None else notes.cosigned)
        ]
        if notes.cosigned is None:
            said += notes.epochs
        vouching = [one for one in said if one.epoch >= newest]
        return tuple(one.heads for one in sorted(vouching, key=lambda one: (one.epoch, one.time)))

    def is_of(self, ledger_id: uuid.UUID) -> bool:
        """Return whether all notes are of that ledger."""
        said: list[Checkpoint | NewEpoch] = [*self.notes.checkpoints, *self.notes.epochs]
        return all(one.ledger_id == ledger_id for one in said)

    @property
    def newest(self) -> Heads | None:
        """Return the newest heads that vouch, None where there are none."""
        return self.vouching[-1] if self.vouching else None


@dataclass(frozen=True, slots=True)
class Compared:
    """What the comparison of notes with the ledger found, for a report."""

    evidence: Evidence
    bad: tuple[Bad, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """Return a line for each place, epoch and change of keys."""
        notes = self.evidence.notes
        lines = []
        for place in self.evidence.places:
            said = [entry.statement for entry in place.contents.entries]
            last = max((one.time for one in said), default=None)
            when = "" if last is None else f", the newest of {last.isoformat(timespec='seconds')}"
            torn = f", {place.contents.torn} torn lines" if place.contents.torn else ""
            lines.append(f"notes    {place.path}: {len(said):,}{when}{torn}")
        lines += [
            f"keys     {change.new.key_id} follows {change.old.key_id}, {change.time.isoformat()}"
            for change in notes.changes
        ]
        lines += [line for epoch in notes.epochs for line in _epoch_lines(epoch)]
        unexplained = {one.epoch for one in notes.checkpoints} - {one.epoch for one in notes.epochs}
        lines += [
            f"epoch    {number}: none of these notes says how it began"
            for number in sorted(unexplained)
            if number > 1
        ]
        if notes.cosigned is not None and self.evidence.witness is not None:
            name = self.evidence.witness.key_id
            newest = self.evidence.newest
            until = "none" if newest is None else f"the newest of {newest.time.isoformat()}"
            lines.append(f"witness  {name}: {len(notes.cosigned):,} of them cosigned, {until}")
        return tuple(lines)

    def as_json(self) -> dict[str, Any]:
        """Return it as the command's JSON shows it."""
        notes = self.evidence.notes
        return {
            "places": [
                {
                    "path": str(place.path),
                    "notes": len(place.contents.entries),
                    "torn": place.contents.torn,
                }
                for place in self.evidence.places
            ],
            "checkpoints": len(notes.checkpoints),
            "cosigned": None if notes.cosigned is None else len(notes.cosigned),
            "newest": None
            if self.evidence.newest is None
            else self.evidence.newest.time.isoformat(),
            "epochs": [
                {
                    "epoch": epoch.epoch,
                    "time": epoch.time.isoformat(),
                    "by": epoch.by,
                    "reason": epoch.reason,
                    "faults": epoch.faults,
                    "chains": [
                        {
                            "chain": change.chain,
                            "old_n": change.old.n,
                            "kept_n": change.kept.n,
                            "new_n": change.new.n,
                        }
                        for change in epoch.chains
                    ],
                }
                for epoch in notes.epochs
            ],
            "key_changes": [
                {"time": one.time.isoformat(), "old": one.old.key_id, "new": one.new.key_id}
                for one in notes.changes
            ],
            "bad": [bad.as_json() for bad in self.bad],
        }


def gather(
    places: Sequence[Place], keys: Sequence[VerifierKey], witness: VerifierKey | None = None
) -> Evidence:
    """Return what the keys vouch for in these places.

    Raises FileUnusable where none of the notes is theirs: then a wrong key was given more likely
    than a note was forged.
    """
    notes = believed(places, keys, witness)
    if notes.faults and not notes.checkpoints and not notes.epochs:
        names = ", ".join(key.key_id for key in keys)
        raise FileUnusable(f"no note is signed by {names}; the first: {notes.faults[0]}")
    return Evidence(tuple(places), notes, witness)


def compare(dsn: str, evidence: Evidence, only: int | None = None) -> Compared:
    """Compare every head in the notes with the ledger at ``dsn``, or those of one chain.

    Heads that an epoch gave up are left out. Raises DatabaseUnreachable, CannotVerify.
    """
    bad = [Bad(Fault.NOTE, detail=fault) for fault in evidence.notes.faults]
    with snapshot(dsn) as connection:
        row = connection.execute(queries("checkpoint")["ledger_id"]).fetchone()
        ledger_id = row[0] if row is not None else uuid.UUID(int=0)
        said: list[Checkpoint | NewEpoch] = [*evidence.notes.checkpoints, *evidence.notes.epochs]
        bad += [
            Bad(Fault.OTHER_LEDGER, detail=f"noted {other}, found {ledger_id}")
            for other in sorted({one.ledger_id for one in said} - {ledger_id}, key=str)
        ]
        if not any(one.fault is Fault.OTHER_LEDGER for one in bad):
            heads = [head for head in demanded(evidence.notes) if only in (None, head.chain)]
            bad += [
                Bad(Fault.OFF_CHAIN, head.chain, head.n, detail=_found(head, stored))
                for head, stored in off_ledger(connection, ledger_id, heads)
            ]
    return Compared(evidence, tuple(bad))


def demanded(notes: Believed) -> list[Head]:
    """Return each head that the ledger has to have, once, in order.

    A checkpoint speaks for its chain up to its head, unless a later epoch kept less.
    """
    heads: set[tuple[int, int, bytes]] = set()
    limits = [
        (epoch.epoch, {change.chain: change.kept.n for change in epoch.chains})
        for epoch in notes.epochs
    ]

    def add(epoch: int, found: Iterable[Head]) -> None:
        for head in found:
            most = (kept.get(head.chain, 0) for number, kept in limits if number > epoch)
            if head.n <= min(most, default=head.n):
                heads.add((head.chain, head.n, head.hash))

    for checkpoint in notes.checkpoints:
        add(checkpoint.epoch, checkpoint.chains)
    for one in notes.epochs:
        add(one.epoch, one.heads.chains)
    return [Head(*head) for head in sorted(heads)]


def off_ledger(
    connection: Connection, ledger_id: uuid.UUID, heads: Sequence[Head]
) -> list[tuple[Head, bytes | None]]:
    """Return each head that is not where it was, with the hash that is there now."""
    off: list[tuple[Head, bytes | None]] = []
    rest = iter(heads)
    while some := list(islice(rest, ASKED_AT_ONCE)):
        asked = {"chains": [head.chain for head in some], "ns": [head.n for head in some]}
        stored = {
            (chain, n): hash
            for chain, n, hash in connection.execute(queries("checkpoint")["links_at"], asked)
        }
        for head in some:
            found = stored.get((head.chain, head.n))
            if head.n == 0:
                found = chain_hash.genesis_hash(ledger_id.bytes, head.chain)
            if found != head.hash:
                off.append((head, found))
    return off


def _found(head: Head, stored: bytes | None) -> str:
    if stored is None:
        return "a note has this link, the chain does not"
    return f"noted {head.hash.hex()[:16]}..., found {stored.hex()[:16]}..."


def _epoch_lines(epoch: NewEpoch) -> list[str]:
    faults = f", with {epoch.faults} faults" if epoch.faults else ""
    lines = [
        f"epoch    {epoch.epoch} by {epoch.by}, {epoch.time.isoformat()}: {epoch.reason}{faults}"
    ]
    for change in epoch.chains:
        if change.kept.n < change.old.n:
            lines.append(
                f"         chain {change.chain}: blocks {change.kept.n + 1:,} to {change.old.n:,}"
                f" of before given up; it stood at n {change.new.n:,}"
            )
    return lines
