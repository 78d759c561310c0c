"""What the notes of a checkpoint file say: where chains stand, a change of keys, a new epoch.

Byte for byte in ``docs/checkpoints.md``. A text is parsed by writing again what was understood: what
does not come out the same is refused, be it one digit, blank or line.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TypeAlias, TypeVar

from celerytrail.sql.chain_hash import HASH_BYTES
from celerytrail.sql.checkpoint.errors import KeyUnusable, NotANote
from celerytrail.sql.checkpoint.note_keys import VerifierKey, parse_verifier_key
from celerytrail.sql.head_file import Head, Heads

CHECKPOINT = "celerytrail/checkpoint/v1"
KEY_CHANGE = "celerytrail/key-change/v1"
NEW_EPOCH = "celerytrail/epoch/v1"

MAX_WORDS = 500
"""The longest reason, and name of who gives it, in characters."""

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where each chain of a ledger stood at a time, its chains in ascending order."""

    ledger_id: uuid.UUID
    format_version: int
    epoch: int
    time: datetime
    chains: tuple[Head, ...]

    @property
    def heads(self) -> Heads:
        """Return the same as heads that a verifier compares."""
        return Heads(self.ledger_id, self.format_version, self.time, self.chains)

    def __str__(self) -> str:
        return _lines(
            CHECKPOINT,
            f"ledger {self.ledger_id}",
            f"format {self.format_version}",
            f"epoch {self.epoch}",
            f"time {_time_text(self.time)}",
            *(f"chain {head.chain} {_head_text(head)}" for head in self.chains),
        )


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The key that signs from now on. The old and the new one both sign this."""

    ledger_id: uuid.UUID
    time: datetime
    old: VerifierKey
    new: VerifierKey

    def __str__(self) -> str:
        return _lines(
            KEY_CHANGE,
            f"ledger {self.ledger_id}",
            f"time {_time_text(self.time)}",
            f"old {self.old}",
            f"new {self.new}",
        )


@dataclass(frozen=True, slots=True)
class ChainChange:
    """One chain at the start of an epoch: as signed last, up to where that still holds, as found."""

    old: Head
    kept: Head
    new: Head

    @property
    def chain(self) -> int:
        """Return the number of the chain."""
        return self.old.chain


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """A person says that the ledger does not continue what was signed, and why that is right."""

    ledger_id: uuid.UUID
    format_version: int
    epoch: int
    time: datetime
    by: str
    reason: str
    faults: int
    chains: tuple[ChainChange, ...]

    @property
    def heads(self) -> Heads:
        """Return where the epoch begins, as heads that a verifier compares."""
        new = tuple(change.new for change in self.chains)
        return Heads(self.ledger_id, self.format_version, self.time, new)

    def __str__(self) -> str:
        return _lines(
            NEW_EPOCH,
            f"ledger {self.ledger_id}",
            f"format {self.format_version}",
            f"epoch {self.epoch}",
            f"time {_time_text(self.time)}",
            f"by {self.by}",
            f"reason {self.reason}",
            f"faults {self.faults}",
            *(
                f"chain {change.chain} {name} {_head_text(head)}"
                for change in self.chains
                for name, head in (("old", change.old), ("kept", change.kept), ("new", change.new))
            ),
        )


Statement: TypeAlias = Checkpoint | KeyChange | NewEpoch


def parse_statement(text: str) -> Statement:
    """Return what a note's text says. Raises NotANote where it is not one of ours, exactly."""
    lines = _Cursor(text)
    kind = lines.line()
    if kind not in _PARSERS:
        raise NotANote("the note is none of celerytrail's statements")
    statement = _PARSERS[kind](lines)
    if str(statement) != text:
        raise NotANote("the statement is not written in the one way there is")
    return statement


def check_words(name: str, words: str) -> None:
    """Check that somebody's words fit into one line of a statement. Raises NotANote naming them."""
    if not words or words != words.strip() or len(words) > MAX_WORDS or not words.isprintable():
        raise NotANote(
            f"{name} has to be one line of 1 to {MAX_WORDS} printable characters, without blanks at"
            " its ends"
        )


class _Cursor:
    def __init__(self, text: str) -> None:
        self._lines: Iterator[str] = iter(text.split("\n")[:-1])
        self._next = next(self._lines, None)

    def line(self) -> str:
        line, self._next = self._next, next(self._lines, None)
        if line is None:
            raise NotANote("the statement ends too early")
        return line

    def value(self, name: str) -> str:
        line = self.line()
        if not line.startswith(f"{name} "):
            raise NotANote(f"the statement has another line where it should say {name}")
        return line[len(name) + 1 :]

    def number(self, name: str, most: int) -> int:
        return _number(self.value(name), most)

    @property
    def ended(self) -> bool:
        return self._next is None


def _checkpoint(lines: _Cursor) -> Checkpoint:
    ledger_id, format_version, epoch, time = _opening(lines)
    chains = []
    while not lines.ended:
        chain, _, head = lines.value("chain").partition(" ")
        chains.append(_head(_number(chain, 2**31 - 1), head))
    _check_order([head.chain for head in chains])
    return Checkpoint(ledger_id, format_version, epoch, time, tuple(chains))


def _key_change(lines: _Cursor) -> KeyChange:
    ledger_id = _ledger(lines)
    time = _time(lines.value("time"))
    try:
        old, new = (parse_verifier_key(lines.value(name)) for name in ("old", "new"))
    except KeyUnusable as error:
        raise NotANote(f"the statement names no key: {error}") from error
    if old == new:
        raise NotANote("a key is not changed to itself")
    return KeyChange(ledger_id, time, old, new)


def _new_epoch(lines: _Cursor) -> NewEpoch:
    ledger_id, format_version, epoch, time = _opening(lines)
    by, reason = lines.value("by"), lines.value("reason")
    check_words("by", by)
    check_words("reason", reason)
    faults = lines.number("faults", 2**31 - 1)
    changes = []
    while not lines.ended:
        chain_text = lines.value("chain")
        chain = _number(chain_text.partition(" ")[0], 2**31 - 1)
        heads = [_named_head(chain, chain_text, "old")]
        heads += [_named_head(chain, lines.value("chain"), name) for name in ("kept", "new")]
        changes.append(ChainChange(*heads))
    _check_order([change.chain for change in changes])
    if any(change.kept.n > min(change.old.n, change.new.n) for change in changes):
        raise NotANote("an epoch keeps more of a chain than there was")
    return NewEpoch(ledger_id, format_version, epoch, time, by, reason, faults, tuple(changes))


_PARSERS: dict[str, Callable[[_Cursor], Statement]] = {
    CHECKPOINT: _checkpoint,
    KEY_CHANGE: _key_change,
    NEW_EPOCH: _new_epoch,
}


def _opening(lines: _Cursor) -> tuple[uuid.UUID, int, int, datetime]:
    ledger_id = _ledger(lines)
    format_version = lines.number("format", 2**15 - 1)
    epoch = lines.number("epoch", 2**31 - 1)
    if epoch < 1:
        raise NotANote("epochs count from 1")
    return ledger_id, format_version, epoch, _time(lines.value("time"))


def _ledger(lines: _Cursor) -> uuid.UUID:
    try:
        return uuid.UUID(lines.value("ledger"))
    except ValueError as error:
        raise NotANote("the statement names no ledger") from error


def _number(text: str, most: int) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise NotANote(f"{text[:30]!r} is no number up to {most}")
    return int(text)


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise NotANote("the statement has no time in UTC") from error


def _head(chain: int, text: str) -> Head:
    n, _, encoded = text.partition(" ")
    try:
        hash = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotANote(f"chain {chain} has no hash in base64") from error
    if len(hash) != HASH_BYTES:
        raise NotANote(f"chain {chain} has a hash of {len(hash)} bytes")
    return Head(chain, _number(n, 2**63 - 1), hash)


def _named_head(chain: int, text: str, name: str) -> Head:
    start = f"{chain} {name} "
    if not text.startswith(start):
        raise NotANote(f"the epoch has another line where chain {chain} should say {name}")
    return _head(chain, text[len(start) :])


def _check_order(chains: Sequence[int]) -> None:
    if not chains or list(chains) != sorted(set(chains)):
        raise NotANote("a statement has each chain once, in ascending order, and at least one")


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def _time_text(time: datetime) -> str:
    # %Y does not pad years before 1000 everywhere; isoformat does.
    return (
        time.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    )


def _head_text(head: Head) -> str:
    return f"{head.n} {base64.b64encode(head.hash).decode()}"
