"""The head file: where each chain of a ledger stood, kept by somebody outside the database.

A small JSON object. It is what lets a verifier see a cut tail or a consistent rewrite, which no
table inside the database can show.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from celerytrail.sql.chain_hash import FORMAT_VERSION, HASH_BYTES
from celerytrail.sql.verification import CannotVerify


@dataclass(frozen=True, slots=True)
class Head:
    """The last verified link of one chain. ``n`` is 0 for a chain without a block."""

    chain: int
    n: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the chains of one ledger stood at a time (UTC).

    ``complete`` says that there was no other chain; it is false where only one was read.
    """

    ledger_id: uuid.UUID
    format_version: int
    time: datetime
    chains: tuple[Head, ...]
    complete: bool = True

    def of(self, chain: int) -> Head | None:
        """Return the head of one chain, None where there is none."""
        return next((head for head in self.chains if head.chain == chain), None)

    def as_json(self) -> dict[str, Any]:
        """Return the object that the file holds."""
        return {
            "ledger_id": str(self.ledger_id),
            "format": self.format_version,
            "time": self.time.astimezone(timezone.utc).isoformat(),
            "chains": [
                {"chain": head.chain, "n": head.n, "hash": head.hash.hex()} for head in self.chains
            ],
            "complete": self.complete,
        }


def read(path: Path) -> Heads:
    """Return the heads in a file. Raises CannotVerify where it is missing or not a head file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotVerify(f"cannot read the head file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CannotVerify(f"{path} is not JSON: name a file written by --head-out") from error
    try:
        heads = Heads(
            ledger_id=uuid.UUID(found["ledger_id"]),
            format_version=int(found["format"]),
            time=_utc(str(found["time"])),
            chains=tuple(
                Head(int(item["chain"]), int(item["n"]), bytes.fromhex(item["hash"]))
                for item in found["chains"]
            ),
            complete=bool(found.get("complete", True)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotVerify(f"{path} is not a head file: name one written by --head-out") from error
    if heads.format_version > FORMAT_VERSION:
        raise CannotVerify(
            f"{path} has format {heads.format_version}, this version knows up to {FORMAT_VERSION}:"
            " upgrade celerytrail"
        )
    if not heads.chains or any(len(head.hash) != HASH_BYTES or head.n < 0 for head in heads.chains):
        raise CannotVerify(f"{path} names no usable head: name one written by --head-out")
    return heads


def write(path: Path, heads: Heads) -> None:
    """Write the heads to a file in one step, so that no reader and no crash sees half of it.

    Raises CannotVerify where the file cannot be written.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with half.open("w", encoding="utf-8") as file:
            json.dump(heads.as_json(), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise CannotVerify(f"cannot write the head file {path}: {error.strerror}") from error


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time
