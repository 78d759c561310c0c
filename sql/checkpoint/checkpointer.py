"""One checkpoint: verify what came since the last one, refuse what does not continue it, sign the rest.

What was signed last is read from the checkpoint file, never from the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from celerytrail.sql.checkpoint.checkpoint_file import CheckpointFile, Entry, opened
from celerytrail.sql.checkpoint.errors import FileUnusable, NotContinued
from celerytrail.sql.checkpoint.note_keys import SigningKey
from celerytrail.sql.checkpoint.signed_note import MAX_BYTES, SignedNote
from celerytrail.sql.checkpoint.statement import Checkpoint, KeyChange, NewEpoch
from celerytrail.sql.head_file import Heads
from celerytrail.sql.verification import Progress
from celerytrail.sql.verify import OUTSIDE, Verification, verify_ledger

FIRST_EPOCH = 1
_SHOWN_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Signed:
    """What one round signed, and what is not right although it could be signed."""

    note: SignedNote
    statement: Checkpoint
    blocks: int
    trouble: str | None


def sign_next(
    dsn: str,
    path: Path,
    key: SigningKey,
    *,
    begin: bool = False,
    known: Checkpoint | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Signed:
    """Verify the ledger at ``dsn`` since the last note in the file, sign where it stands, and add that.

    ``begin`` makes a file that is not there. ``known`` is what the caller saw signed before: a file
    whose end is older was put in the place of the one that it was. Raises NotContinued where the ledger is not what was
    signed, or is broken since; FileUnusable, KeyUnusable, DatabaseUnreachable, CannotVerify.
    """
    with opened(path, begin=begin) as file:
        last = last_signed(file, key)
        if known is not None and (last is None or _age(last) < _age(known)):
            found_time = "no note" if last is None else last.time.isoformat()
            raise NotContinued(
                f"{path} went back: {known.time.isoformat()} was signed into it, its newest is"
                f" {found_time}. Put it back as it was"
            )
        found = verify_ledger(
            dsn,
            ways=(OUTSIDE,),
            since=last.heads if last is not None else None,
            jobs=jobs,
            progress=None if progress is None else lambda _way: progress,
        )
        epoch = last.epoch if last is not None else FIRST_EPOCH
        statement = continued(last, found, epoch)
        note = key.sign(str(statement))
        if len(str(note).encode()) > MAX_BYTES:
            raise NotContinued(
                f"{len(statement.chains):,} chains do not fit into a note: nobody could read it. The"
                " sink makes 64 at most, so look at who made the others"
            )
        file.append(note)
    return Signed(note, statement, found.readings[-1].blocks, _trouble(found))


def last_signed(file: CheckpointFile, key: SigningKey) -> Checkpoint | NewEpoch | None:
    """Return what was signed last, None for an empty file.

    Raises FileUnusable where the newest note is not by this key, or names another one.
    """
    entries = file.newest()
    if not entries:
        return None
    _check_key(file, entries[-1], key)
    for entry in reversed(entries):
        if not isinstance(entry.statement, KeyChange):
            return entry.statement
    raise FileUnusable(f"the end of {file.path} holds only changes of keys, and no checkpoint")


def continued(last: Checkpoint | NewEpoch | None, found: Verification, epoch: int) -> Checkpoint:
    """Return what may be signed of a ledger that was verified since what was signed last.

    Raises NotContinued, naming each thing that is wrong.
    """
    wrong = [str(bad) for bad in found.readings[-1].bad]
    heads = found.heads
    if last is not None:
        wrong = [*not_after(last.heads, heads), *wrong]
    if not heads.chains:
        wrong.append("the ledger has no chain")
    if wrong:
        more = f", and {len(wrong) - _SHOWN_FAULTS} more" if len(wrong) > _SHOWN_FAULTS else ""
        raise NotContinued(
            f"the ledger is not what was signed: {'; '.join(wrong[:_SHOWN_FAULTS])}{more}."
            " Nothing is signed until it is, or `celerytrail epoch new` says why it is not"
        )
    return Checkpoint(heads.ledger_id, heads.format_version, epoch, heads.time, heads.chains)


def not_after(last: Heads, now: Heads) -> list[str]:
    """Return how heads fail to come after others; nothing where they may."""
    if last.ledger_id != now.ledger_id:
        return [f"another ledger: signed was {last.ledger_id}, found is {now.ledger_id}"]
    wrong = []
    if now.time < last.time:
        wrong.append(
            f"the clock went back: signed at {last.time.isoformat()}, now {now.time.isoformat()}"
        )
    for head in last.chains:
        found = now.of(head.chain)
        if found is None:
            wrong.append(f"chain {head.chain} is missing; it was signed at n {head.n}")
        elif found.n < head.n:
            wrong.append(f"chain {head.chain} ends at n {found.n}; it was signed at n {head.n}")
        elif found.n == head.n and found.hash != head.hash:
            wrong.append(f"chain {head.chain} has another hash at n {head.n} than was signed")
    return wrong


def _age(said: Checkpoint | NewEpoch) -> tuple[int, datetime]:
    return said.epoch, said.time


def _check_key(file: CheckpointFile, entry: Entry, key: SigningKey) -> None:
    said = entry.statement
    if isinstance(said, KeyChange) and said.new != key.verifier:
        raise FileUnusable(
            f"{file.path} says that {said.new.key_id} signs now: start with that key"
        )
    if not key.verifier.signed(entry.note):
        names = ", ".join(f"{one.name}+{one.key_hash.hex()}" for one in entry.note.signatures)
        raise FileUnusable(
            f"the newest note in {file.path} is by {names}, not by {key.verifier.key_id}: start with"
            " that key, or change it with `celerytrail checkpoint keys rotate`"
        )


def _trouble(found: Verification) -> str | None:
    differences: Sequence[str] = found.catalog
    if not differences:
        return None
    more = (
        f", and {len(differences) - _SHOWN_FAULTS} more" if len(differences) > _SHOWN_FAULTS else ""
    )
    return (
        f"the catalog differs from the migrations: {'; '.join(differences[:_SHOWN_FAULTS])}{more}"
    )
