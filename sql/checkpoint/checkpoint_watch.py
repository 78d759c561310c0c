"""Look at the places of checkpoints before each verification of a schedule.

The checkpointer goes on signing, so they are read again each time. A place that is missing, unreadable, by
another key, or older than it was is trouble to be told, and looked at again the next time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from celerytrail.sql.checkpoint.errors import CheckpointError
from celerytrail.sql.checkpoint.evidence import Evidence, gather
from celerytrail.sql.checkpoint.key_file import read_public
from celerytrail.sql.checkpoint.note_keys import VerifierKey
from celerytrail.sql.checkpoint.place_reader import PlaceReader


@dataclass(frozen=True, slots=True)
class CheckpointPlaces:
    """Where checkpoints are, and the files of the keys that are believed; of a witness if one has to sign, too."""

    places: tuple[Path, ...]
    public_keys: tuple[Path, ...]
    witness_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look gave: the notes of the places that could be read, and why not all could be."""

    evidence: Evidence | None
    trouble: str | None


class CheckpointWatch:
    """Looks at the places, in between only at what is new there."""

    def __init__(self, places: CheckpointPlaces) -> None:
        self._places = places
        self._readers = [PlaceReader(path) for path in places.places]
        self._keys: tuple[VerifierKey, ...] = ()
        self._witness: VerifierKey | None = None

    def look(self, *, everything: bool) -> Looked:
        """Return what the places hold now; never raises a CheckpointError, which is trouble instead."""
        try:
            self._read_keys()
        except CheckpointError as error:
            return Looked(None, str(error))
        looked = self._look(everything)
        # A note that is told again, or was put in before others, needs all of them to be judged.
        if not everything and looked.evidence is not None and looked.evidence.notes.faults:
            return self._look(True)
        return looked

    def good(self) -> None:
        """Remember the last look: its notes are believed, and on their chains."""
        for reader in self._readers:
            reader.good(self._witness)

    def forget(self) -> None:
        """Read everything at the next look."""
        for reader in self._readers:
            reader.forget()

    def _read_keys(self) -> None:
        keys = tuple(read_public(path) for path in self._places.public_keys)
        witness = self._places.witness_key
        witness_key = read_public(witness) if witness is not None else None
        if (keys, witness_key) != (self._keys, self._witness):
            self._keys, self._witness = keys, witness_key
            self.forget()

    def _look(self, everything: bool) -> Looked:
        places, trouble = [], []
        for reader in self._readers:
            try:
                places.append(reader.read(everything=everything))
            except CheckpointError as error:
                trouble.append(str(error))
        evidence = None
        try:
            evidence = gather(places, self._keys, self._witness) if places else None
        except CheckpointError as error:
            trouble.append(f"{_named(self._places.places)}: {error}")
        if not trouble:
            trouble += [back for reader in self._readers if (back := reader.went_back())]
        return Looked(evidence, "; ".join(trouble) or None)


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
