"""Which notes are to be believed: those signed by the keys that the caller gave, and who followed them.

Nothing here asks a database. A key that was given is believed until a note that it signed itself
says which key comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from celerytrail.sql.chain_hash import FORMAT_VERSION
from celerytrail.sql.checkpoint.checkpoint_file import Contents, Entry
from celerytrail.sql.checkpoint.note_keys import VerifierKey
from celerytrail.sql.checkpoint.statement import Checkpoint, KeyChange, NewEpoch


@dataclass(frozen=True, slots=True)
class Place:
    """What was found in one place where notes are kept."""

    path: Path
    contents: Contents


@dataclass(frozen=True, slots=True)
class Believed:
    """The notes that are believed, and what is wrong with the others.

    ``cosigned`` are those checkpoints that the witness signed, None where none was asked for.
    """

    checkpoints: tuple[Checkpoint, ...]
    epochs: tuple[NewEpoch, ...]
    changes: tuple[KeyChange, ...]
    cosigned: tuple[Checkpoint, ...] | None
    faults: tuple[str, ...]


def believed(
    places: Sequence[Place],
    keys: Sequence[VerifierKey],
    witness: VerifierKey | None = None,
) -> Believed:
    """Return which notes of the places the keys vouch for. Raises KeyUnusable.

    A note by nobody, or by a key after its successor took over, is a fault: somebody else wrote it.
    """
    retired = _retired(places, keys)
    found: dict[str, Entry] = {}
    faults = []
    for place in places:
        before: Checkpoint | None = None
        # A place may be given a note twice: after a crash nobody knows whether it took the first.
        seen: set[str] = set()
        for number, entry in enumerate(place.contents.entries, 1):
            said = entry.statement
            fault = _fault(entry, retired)
            text = entry.note.text
            if fault is None and isinstance(said, Checkpoint) and text not in seen:
                if before is not None and goes_back(before, said):
                    fault = "it goes back behind the one before it"
                before = said
            if fault is not None:
                faults.append(f"{place.path}, note {number}: {fault}")
                continue
            seen.add(text)
            # The same statement may stand in several places, with or without the witness.
            if text not in found or (witness is not None and witness.signed(entry.note)):
                found[text] = entry
    entries = list(found.values())
    checkpoints = [entry.statement for entry in entries if isinstance(entry.statement, Checkpoint)]
    epochs = sorted(
        (entry.statement for entry in entries if isinstance(entry.statement, NewEpoch)),
        key=lambda epoch: (epoch.epoch, epoch.time),
    )
    faults += [
        f"epoch {after.epoch} was begun twice, at {before.time.isoformat()} and {after.time.isoformat()}"
        for before, after in pairwise(epochs)
        if before.epoch == after.epoch
    ]
    changes = [entry.statement for entry in entries if isinstance(entry.statement, KeyChange)]
    faults += [
        f"{old.key_id} was followed by more than one key: " + ", ".join(key.key_id for key in after)
        for old, after in _followers(changes).items()
        if len(after) > 1
    ]
    cosigned = None
    if witness is not None:
        cosigned = tuple(
            entry.statement
            for entry in entries
            if isinstance(entry.statement, Checkpoint) and witness.signed(entry.note)
        )
    return Believed(
        tuple(checkpoints),
        tuple(epochs),
        tuple(changes),
        cosigned,
        tuple(faults),
    )


def goes_back(before: Checkpoint, after: Checkpoint) -> bool:
    """Return whether a checkpoint cannot come after another one of the same place."""
    if (after.ledger_id, after.epoch) != (before.ledger_id, before.epoch):
        return after.ledger_id != before.ledger_id or after.epoch < before.epoch
    if after.time < before.time:
        return True
    for head in before.chains:
        now = after.heads.of(head.chain)
        if now is None or now.n < head.n or (now.n == head.n and now.hash != head.hash):
            return True
    return False


def _retired(
    places: Sequence[Place], keys: Sequence[VerifierKey]
) -> dict[VerifierKey, datetime | None]:
    """Return each key to be believed, with when another one took over."""
    retired: dict[VerifierKey, datetime | None] = dict.fromkeys(keys)
    changes = sorted(
        (
            (entry.statement, entry)
            for place in places
            for entry in place.contents.entries
            if isinstance(entry.statement, KeyChange)
        ),
        key=lambda found: found[0].time,
    )
    for change, entry in changes:
        until = retired.get(change.old)
        if change.old not in retired or (until is not None and change.time > until):
            continue
        if change.old.signed(entry.note) and change.new.signed(entry.note):
            retired[change.old] = change.time
            retired.setdefault(change.new, None)
    return retired


def _followers(changes: Sequence[KeyChange]) -> dict[VerifierKey, tuple[VerifierKey, ...]]:
    found: dict[VerifierKey, dict[VerifierKey, None]] = {}
    for change in changes:
        found.setdefault(change.old, {})[change.new] = None
    return {old: tuple(after) for old, after in found.items()}


def _fault(entry: Entry, retired: dict[VerifierKey, datetime | None]) -> str | None:
    """Return why a note is not to be believed, None where it is."""
    said = entry.statement
    if isinstance(said, KeyChange):
        if said.old not in retired or not said.old.signed(entry.note):
            return f"a change of keys that no given key signed: {said.old.key_id}"
        return None if said.new.signed(entry.note) else f"{said.new.key_id} did not sign it"
    if said.format_version > FORMAT_VERSION:
        return (
            f"it is of format {said.format_version}, this version knows up to {FORMAT_VERSION}:"
            " upgrade celerytrail"
        )
    for key, until in retired.items():
        if not key.named_in(entry.note):
            continue
        if not key.signed(entry.note):
            return f"its signature by {key.key_id} is not right"
        if until is not None and said.time > until:
            return f"it is signed by {key.key_id}, whose successor had taken over"
        return None
    names = ", ".join(f"{one.name}+{one.key_hash.hex()}" for one in entry.note.signatures)
    return f"no given key signed it, but {names}"
