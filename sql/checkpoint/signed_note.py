"""Signed notes: a text, and lines that sign it.

The form of https://c2sp.org/signed-note: UTF-8 text that ends with a newline, an empty line, and for
each signature the line ``— <key name> <base64(key hash 4 bytes | signature)>``. Bytes that are not
exactly what would be written again are refused, so that no two of them mean the same note.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace

from celerytrail.sql.checkpoint.errors import NotANote

MAX_BYTES = 256 * 1024
MAX_SIGNATURES = 16
KEY_HASH_BYTES = 4

_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says to have signed, and the bytes that show it."""

    name: str
    key_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends with a newline, and its signatures in the order they were added."""

    text: str
    signatures: tuple[Signature, ...]

    def with_signature(self, signature: Signature) -> SignedNote:
        """Return the note with one more signature line."""
        return replace(self, signatures=(*self.signatures, signature))

    def __str__(self) -> str:
        lines = [
            f"{_DASH}{one.name} {base64.b64encode(one.key_hash + one.signature).decode()}\n"
            for one in self.signatures
        ]
        return f"{self.text}\n{''.join(lines)}"


def parse(data: bytes) -> SignedNote:
    """Return the note that these bytes are. No signature is checked.

    Raises NotANote for anything but exactly one note in its one written form.
    """
    if len(data) > MAX_BYTES:
        raise NotANote(f"a note has at most {MAX_BYTES} bytes, this one {len(data)}")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotANote("a note is UTF-8 text") from error
    if _CONTROL.search(whole):
        raise NotANote("a note has no control characters")
    text, empty, signed = whole.rpartition("\n\n")
    if not empty or not text or not signed.endswith("\n"):
        raise NotANote("a note is a text, an empty line, and signature lines")
    lines = signed[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NotANote(f"a note has at most {MAX_SIGNATURES} signatures")
    note = SignedNote(f"{text}\n", tuple(_signature(line) for line in lines))
    signers = [(one.name, one.key_hash) for one in note.signatures]
    if len(set(signers)) != len(signers):
        raise NotANote("a key signs a note once")
    if str(note).encode() != data:
        raise NotANote("a note is written in one way only")
    return note


def is_key_name(name: str) -> bool:
    """Return whether a key may be called that: not empty, without blanks and plus signs."""
    return bool(name) and name.isprintable() and "+" not in name and not any(map(str.isspace, name))


def _signature(line: str) -> Signature:
    name, blank, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not blank or not is_key_name(name):
        raise NotANote("a signature line is a dash, the name of a key, and base64")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotANote("a signature line ends with base64") from error
    if len(decoded) <= KEY_HASH_BYTES:
        raise NotANote("a signature line ends with a key hash and a signature")
    return Signature(name, decoded[:KEY_HASH_BYTES], decoded[KEY_HASH_BYTES:])
