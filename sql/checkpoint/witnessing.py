"""A witness: somebody else, with a key and a memory of his own, who signs what continues.

He replays the headers of all blocks between the checkpoint that he signed last and the newest one.
The file of what he signed is his memory; nobody else writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from celerytrail.sql import chain_hash
from celerytrail.sql.checkpoint.checkpoint_file import CheckpointFile, Entry, opened
from celerytrail.sql.checkpoint.checkpointer import not_after
from celerytrail.sql.checkpoint.errors import FileUnusable, NotContinued
from celerytrail.sql.checkpoint.headers import Header, replay
from celerytrail.sql.checkpoint.note_keys import SigningKey, VerifierKey
from celerytrail.sql.checkpoint.signed_note import SignedNote
from celerytrail.sql.checkpoint.statement import Checkpoint, NewEpoch
from celerytrail.sql.checkpoint.trust import Believed, Place, believed
from celerytrail.sql.head_file import Head, Heads

ReadHeaders = Callable[[int, int, int], Iterable[Header]]
"""Gives the headers of a chain after an n up to another one."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What the witness signed now; ``note`` is None where he had signed the newest one before."""

    checkpoint: Checkpoint
    note: SignedNote | None
    blocks: int


def cosign(
    place: Place,
    keys: list[VerifierKey],
    own: Path,
    key: SigningKey,
    read: ReadHeaders,
    *,
    begin: bool = False,
    accept_epoch: int | None = None,
) -> Cosigned:
    """Cosign the newest checkpoint of a place, if it continues the one that this witness signed last.

    ``keys`` are the checkpointer's, ``accept_epoch`` is the newest epoch that a person told the
    witness to accept. Raises NotContinued where it does not continue, FileUnusable where a file
    does not hold what it should, KeyUnusable.
    """
    notes = believed([place], keys)
    if notes.faults:
        raise NotContinued(f"not every note is the checkpointer's: {notes.faults[0]}")
    newest = max(notes.checkpoints, key=lambda one: (one.epoch, one.time), default=None)
    if newest is None:
        raise FileUnusable(f"{place.path} holds no checkpoint")
    with opened(own, begin=begin) as file:
        last = _last(file, key)
        if last == newest:
            return Cosigned(newest, None, 0)
        start = _start(last, newest, notes, accept_epoch)
        wrong = not_after(start, newest.heads) if start is not None else []
        blocks = 0
        for head in newest.chains if not wrong else ():
            known = start.of(head.chain) if start is not None else None
            genesis = Head(
                head.chain, 0, chain_hash.genesis_hash(newest.ledger_id.bytes, head.chain)
            )
            before = known or genesis
            fault = replay(newest.ledger_id.bytes, before, read(head.chain, before.n, head.n), head)
            blocks += head.n - before.n
            if fault is not None:
                wrong.append(fault)
        if wrong:
            raise NotContinued(
                "the checkpoint does not continue the one that was cosigned last: "
                + "; ".join(wrong[:3])
            )
        note = key.add_to(_note_of(place.contents.entries, newest, keys, notes))
        file.append(note)
    return Cosigned(newest, note, blocks)


def _last(file: CheckpointFile, key: SigningKey) -> Checkpoint | None:
    entries = file.newest()
    if not entries:
        return None
    said = entries[-1].statement
    if not isinstance(said, Checkpoint) or not key.verifier.signed(entries[-1].note):
        raise FileUnusable(f"the newest note in {file.path} is not cosigned by this witness")
    return said


def _start(
    last: Checkpoint | None, newest: Checkpoint, notes: Believed, accepted: int | None
) -> Heads | None:
    """Return from where to replay: what was cosigned, or what an accepted epoch kept of it."""
    if last is None or last.epoch == newest.epoch:
        return last.heads if last is not None else None
    if newest.epoch < last.epoch or accepted is None or accepted < newest.epoch:
        raise NotContinued(
            f"epoch {newest.epoch} after epoch {last.epoch}: ask what happened, and if that is right"
            f" say --accept-epoch {newest.epoch}"
        )
    between = [one for one in notes.epochs if last.epoch < one.epoch <= newest.epoch]
    if {one.epoch for one in between} != set(range(last.epoch + 1, newest.epoch + 1)):
        raise NotContinued(f"no note says how epoch {newest.epoch} came to be")
    return Heads(
        last.ledger_id,
        last.format_version,
        last.time,
        tuple(_least(head, between) for head in last.chains),
    )


def _least(head: Head, epochs: list[NewEpoch]) -> Head:
    """Return up to where what was cosigned of a chain still holds after the epochs."""
    for epoch in epochs:
        for change in epoch.chains:
            if change.chain == head.chain and change.kept.n < head.n:
                head = change.kept
    return head


def _note_of(
    entries: tuple[Entry, ...], checkpoint: Checkpoint, keys: list[VerifierKey], notes: Believed
) -> SignedNote:
    """Return the note of a checkpoint with the lines of its keys alone.

    Whoever may write the place can add lines that sign nothing: as many as a note has room for, or one
    that says to be the witness's.
    """
    found = next(entry.note for entry in entries if entry.statement == checkpoint)
    believed_keys = [*keys, *(change.new for change in notes.changes)]
    lines = {
        (one.name, one.key_hash): one
        for one in found.signatures
        if any(
            (key.name, key.key_hash) == (one.name, one.key_hash) and key.signed(found)
            for key in believed_keys
        )
    }
    return SignedNote(found.text, tuple(lines.values()))
