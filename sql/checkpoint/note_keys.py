"""Ed25519 keys in the text forms that tools for signed notes use.

A public key is ``<name>+<key hash, 8 hex digits>+<base64(0x01 | 32 bytes)>``, a private one the same
after ``PRIVATE+KEY+``. The hash is that of https://c2sp.org/signed-note: the first four bytes of
SHA-256(name | 0x0a | 0x01 | public key).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

from celerytrail.sql.checkpoint.errors import KeyUnusable
from celerytrail.sql.checkpoint.signed_note import (
    KEY_HASH_BYTES,
    Signature,
    SignedNote,
    is_key_name,
)

ED25519 = b"\x01"
KEY_BYTES = 32
_PRIVATE = "PRIVATE+KEY+"
_MISSING = "checkpoints need the package cryptography: pip install 'celerytrail[checkpoint]'"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and the name that goes with it."""

    name: str
    public: bytes

    @property
    def key_hash(self) -> bytes:
        """Return the four bytes by which a signature line names the key."""
        return _key_hash(self.name, self.public)

    @property
    def key_id(self) -> str:
        """Return the short name of the key: ``<name>+<key hash>``."""
        return f"{self.name}+{self.key_hash.hex()}"

    def __str__(self) -> str:
        return f"{self.key_id}+{base64.b64encode(ED25519 + self.public).decode()}"

    def named_in(self, note: SignedNote) -> bool:
        """Return whether a line of the note says to be by this key, right or wrong."""
        return self._line(note) is not None

    def signed(self, note: SignedNote) -> bool:
        """Return whether a signature of the note is by this key. Raises KeyUnusable."""
        line = self._line(note)
        if line is None:
            return False
        key, invalid = _loaded(self.public)
        try:
            key.verify(line.signature, note.text.encode())
        except (invalid, ValueError):
            return False
        return True

    def _line(self, note: SignedNote) -> Signature | None:
        wanted = self.name, self.key_hash
        return next(
            (line for line in note.signatures if (line.name, line.key_hash) == wanted), None
        )


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Its seed is in no text that is made of it, but for ``private_text``."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        """Return the public key. Raises KeyUnusable without ``cryptography``."""
        return VerifierKey(self.name, self._private().public_key().public_bytes_raw())

    def private_text(self) -> str:
        """Return what the private key's file holds."""
        encoded = base64.b64encode(ED25519 + self.seed).decode()
        return f"{_PRIVATE}{self.verifier.key_id}+{encoded}"

    def sign(self, text: str) -> SignedNote:
        """Return the note of a text that ends with a newline. Raises KeyUnusable."""
        return self.add_to(SignedNote(text, ()))

    def add_to(self, note: SignedNote) -> SignedNote:
        """Return the note with this key's signature added. Raises KeyUnusable."""
        signature = self._private().sign(note.text.encode())
        return note.with_signature(Signature(self.name, self.verifier.key_hash, signature))

    def _private(self) -> Any:
        ed25519, _ = _ed25519()
        return ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)


def new_key(name: str) -> SigningKey:
    """Return a new key of that name. Raises KeyUnusable for a name that no key may have."""
    if not is_key_name(name) or len(name.encode()) > 100:
        raise KeyUnusable(
            f"{name!r} cannot be the name of a key: up to 100 bytes without blanks and plus signs"
        )
    return SigningKey(name, secrets.token_bytes(KEY_BYTES))


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the public key of a line. Raises KeyUnusable where it is none, or not whole."""
    name, key_hash, raw = _parts(text, "public")
    key = VerifierKey(name, raw)
    if str(key) != text or key.key_hash.hex() != key_hash:
        raise KeyUnusable("the public key is not whole: its hash does not fit")
    return key


def parse_signing_key(text: str) -> SigningKey:
    """Return the private key of a line. Raises KeyUnusable, without quoting any of it."""
    if not text.startswith(_PRIVATE):
        raise KeyUnusable(f"a private key begins with {_PRIVATE}")
    name, _, raw = _parts(text.removeprefix(_PRIVATE), "private")
    key = SigningKey(name, raw)
    if key.private_text() != text:
        raise KeyUnusable("the private key is not whole: its hash does not fit")
    return key


def _parts(text: str, kind: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    key_hash, _, encoded = rest.partition("+")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyUnusable(f"a {kind} key ends with base64") from error
    if not is_key_name(name) or len(decoded) != 1 + KEY_BYTES or decoded[:1] != ED25519:
        raise KeyUnusable(f"a {kind} key is <name>+<hash>+<base64>, of an Ed25519 key")
    return name, key_hash, decoded[1:]


# A file has a note every few seconds for years, all by the same few keys.
@lru_cache(maxsize=256)
def _key_hash(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_HASH_BYTES]


@lru_cache(maxsize=256)
def _loaded(public: bytes) -> tuple[Any, type[Exception]]:
    ed25519, invalid = _ed25519()
    return ed25519.Ed25519PublicKey.from_public_bytes(public), invalid


def _ed25519() -> tuple[Any, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise KeyUnusable(_MISSING) from error
    return ed25519, InvalidSignature
