"""The container of a message body that waits for a retry: sealed for the action API, or plain.

The shipper writes it, the action API opens it; nobody else can do either. Format version 1, all
integers big endian, ``prefixed(x)`` is the length of x in 4 bytes and x::

    container  = version, 1 byte | scheme, 1 byte | rest

    scheme 0, plain    rest = message
    scheme 1, sealed   rest = kid, 8 bytes | wrap, 80 bytes | salt, 32 bytes | AES-256-GCM(message), + 16 bytes

    message    = prefixed(JSON: headers, properties, exchange, routing key, priority, content type
                 and encoding) | body as kombu encoded it
    kid        = SHA-256(public key)[:8]
    wrap       = HPKE base mode (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM) of the data key, with
                 info = "celerytrail/dek/v1" 0x00 | prefixed kid, ledger id, deployment
    salt       = HMAC-SHA256(secret of the segment, "celerytrail/seal/v1" 0x00 | stream id, 16 bytes
                 | seq, 8 bytes | SHA-256(message))
    aad        = prefixed version, scheme, kid, SHA-256(wrap), ledger id, deployment, task id,
                 retries, stream id, seq (numbers as decimal text)
    key        = HMAC-SHA256(seal psk, data key | salt | SHA-256(aad)), nonce = 12 zero bytes

* A key is used for one message only: the salt depends on the message, so that even a record that is
  built anew by another release never meets the same key with other bytes.
* Base mode alone lets anybody who has the public key make a valid blob, and a forged one would run
  as a task when somebody presses Retry. The pre-shared key ``seal psk`` is in the shipper and in the
  action API only.
* Routing lies inside, next to the body: in plain columns, who can write the database could send
  the retry of one task to another queue.
* The plain scheme exists for deployments without keys. A shipper uses it only for a message in
  which redaction found nothing; see ``docs/design/payloads.md``.

``cryptography`` (extra ``seal``) is needed for scheme 1 only, and imported when it is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from celerytrail.exporter.hmac_sha256 import hmac_sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
SCHEME_PLAIN = 0
SCHEME_SEALED = 1

KEY_BYTES = 32
KID_BYTES = 8
WRAP_BYTES = 80
SALT_BYTES = 32
TAG_BYTES = 16
OVERHEAD_BYTES = 2 + KID_BYTES + WRAP_BYTES + SALT_BYTES + TAG_BYTES

_DATA_KEY_DOMAIN = b"celerytrail/dek/v1\0"
_SALT_DOMAIN = b"celerytrail/seal/v1\0"
_NONCE = bytes(12)
_encode = json.JSONEncoder(separators=(",", ":"), default=repr).encode


class SealedError(Exception):
    """Base of every error of a message container; the message says what to do, and no secret."""


class SealingUnavailable(SealedError):
    """The package ``cryptography`` is missing or too old: install ``celerytrail[seal]``."""


class SealedFormatError(SealedError):
    """The bytes are not a message container of a known version and scheme."""


class CannotOpen(SealedError):
    """The container was not sealed for these keys, or not for this task: it must not be used."""


@dataclass(frozen=True, slots=True)
class Message:
    """A task message as it went to the broker: what is needed to send it again unchanged."""

    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    exchange: str | None
    routing_key: str | None
    priority: int | None
    content_type: str | None
    content_encoding: str | None
    body: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the message as the container holds it: the same bytes for the same message.

        Keys in headers and properties are text, as JSON has no other.
        """
        about = _encode(
            {
                "headers": self.headers,
                "properties": self.properties,
                "exchange": self.exchange,
                "routing_key": self.routing_key,
                "priority": self.priority,
                "content_type": self.content_type,
                "content_encoding": self.content_encoding,
            }
        ).encode()
        return _prefixed(about) + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> Message:
        """Read what ``to_bytes`` wrote. Raises SealedFormatError for anything else."""
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise SealedFormatError("message container breaks off inside its description")
        try:
            about = json.loads(data[4 : 4 + size])
            return cls(body=data[4 + size :], **about)
        except (ValueError, TypeError, RecursionError) as exc:
            raise SealedFormatError(f"message container with a bad description: {exc}") from exc


@dataclass(frozen=True, slots=True)
class Binding:
    """Which task of which deployment a body belongs to; it opens for no other.

    ``deployment`` is ``Deployment.label``, ``stream_id`` 32 hex digits, ``ledger_id`` the text of
    its uuid, or empty where the shipper was not told.
    """

    ledger_id: str
    deployment: str
    task_id: str
    retries: int
    stream_id: str
    seq: int

    def additional_data(self, kid: bytes, wrap: bytes) -> bytes:
        """Return the bytes that are authenticated with the message, see the module's format."""
        return _segment_data(kid, wrap, self.ledger_id, self.deployment) + _list(
            (
                self.task_id.encode("utf-8", "surrogatepass"),
                b"%d" % self.retries,
                self.stream_id.encode(),
                b"%d" % self.seq,
            )
        )


@lru_cache(maxsize=64)
def _segment_data(kid: bytes, wrap: bytes, ledger_id: str, deployment: str) -> bytes:
    """Return the part of the additional data that is the same for all bodies of a segment."""
    return _list(
        (
            b"%d" % VERSION,
            b"%d" % SCHEME_SEALED,
            kid,
            sha256(wrap).digest(),
            ledger_id.encode(),
            deployment.encode(),
        )
    )


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one segment's bodies, and its wrap for the holder of the private key."""

    kid: bytes
    wrap: bytes
    key: bytes = field(repr=False)


def key_id(public_key: bytes) -> bytes:
    """Return the 8 bytes that name a raw 32 byte X25519 public key."""
    if len(public_key) != KEY_BYTES:
        raise SealedError(f"an X25519 public key has {KEY_BYTES} bytes, not {len(public_key)}")
    return sha256(public_key).digest()[:KID_BYTES]


def wrap_data_key(key: bytes, public_key: bytes, ledger_id: str, deployment: str) -> bytes:
    """Encrypt a 32 byte data key to a raw X25519 public key; 80 bytes, different on every call.

    Raises SealingUnavailable without ``cryptography``, SealedError for a key that cannot be used.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
        from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
    except ImportError as exc:
        raise _unavailable() from exc
    info = _data_key_info(key_id(public_key), ledger_id, deployment)
    try:
        suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        return suite.encrypt(key, X25519PublicKey.from_public_bytes(public_key), info)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SealedError(f"nothing can be sealed to this public key: {exc}") from exc


def seal(message: Message, binding: Binding, data_key: DataKey, psk: bytes, secret: bytes) -> bytes:
    """Seal a message for one task.

    ``secret`` is the secret of the spool segment the message came from: the same record gives the
    same bytes again. Raises SealingUnavailable without ``cryptography``.
    """
    return seal_bytes(message.to_bytes(), binding, data_key, psk, secret)


def seal_bytes(
    plain: bytes, binding: Binding, data_key: DataKey, psk: bytes, secret: bytes
) -> bytes:
    """Seal what ``Message.to_bytes`` gives, see ``seal``."""
    cipher = _cipher()
    salt = hmac_sha256(secret).digest(
        b"%b%b%b%b"
        % (
            _SALT_DOMAIN,
            bytes.fromhex(binding.stream_id),
            binding.seq.to_bytes(8, "big"),
            sha256(plain).digest(),
        )
    )
    aad = binding.additional_data(data_key.kid, data_key.wrap)
    key = _message_key(psk, data_key.key, salt, aad)
    sealed = cipher(key).encrypt(_NONCE, plain, aad)
    return b"%c%c%b%b%b%b" % (VERSION, SCHEME_SEALED, data_key.kid, data_key.wrap, salt, sealed)


def keep_plain(message: Message) -> bytes:
    """Put a message that holds nothing to protect into the container, unencrypted."""
    return keep_plain_bytes(message.to_bytes())


def keep_plain_bytes(plain: bytes) -> bytes:
    """Put what ``Message.to_bytes`` gives into the container, see ``keep_plain``."""
    return b"%c%c%b" % (VERSION, SCHEME_PLAIN, plain)


def scheme_of(container: bytes) -> int:
    """Return the scheme of a container. Raises SealedFormatError for an unknown one."""
    if len(container) < 2 or container[0] != VERSION:
        raise SealedFormatError(
            f"not a message container of version {VERSION}: it begins with {container[:2].hex()!r}"
        )
    if container[1] not in (SCHEME_PLAIN, SCHEME_SEALED):
        raise SealedFormatError(f"message container of unknown scheme {container[1]}")
    return container[1]


def key_id_of(container: bytes) -> bytes | None:
    """Return the id of the key pair a container was sealed for, None for a plain one."""
    return container[2 : 2 + KID_BYTES] if scheme_of(container) == SCHEME_SEALED else None


def open_container(
    container: bytes,
    binding: Binding,
    private_keys: Iterable[X25519PrivateKey] = (),
    psk: bytes | None = None,
    *,
    allow_plain: bool = False,
) -> Message:
    """Return the message in a container that was made for ``binding``.

    ``private_keys`` is the keyring; the right one is found by its id. A plain container is bound to
    nothing but the commitment in the ledger, and anybody can make one: allow it only for a
    deployment that does not seal, or a forged one would pass where a forged seal cannot.
    Raises CannotOpen when no key fits, when the container belongs to another task, attempt,
    deployment or ledger, or is plain and not allowed; SealedFormatError for bytes that are no
    container; SealingUnavailable without ``cryptography``.
    """
    if scheme_of(container) == SCHEME_PLAIN:
        if not allow_plain:
            raise CannotOpen("the message is not sealed, and this deployment does not allow that")
        return Message.from_bytes(container[2:])
    if len(container) < OVERHEAD_BYTES:
        raise SealedFormatError(f"sealed container of only {len(container)} bytes")
    if psk is None:
        raise CannotOpen("the message is sealed, and no seal psk is configured")
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
    except ImportError as exc:
        raise _unavailable() from exc
    kid, rest = container[2 : 2 + KID_BYTES], container[2 + KID_BYTES :]
    wrap, rest = rest[:WRAP_BYTES], rest[WRAP_BYTES:]
    salt, sealed = rest[:SALT_BYTES], rest[SALT_BYTES:]
    ring = {key_id(key.public_key().public_bytes_raw()): key for key in private_keys}
    if kid not in ring:
        raise CannotOpen(
            f"no private key {kid.hex()} in the keyring, which has {sorted(k.hex() for k in ring)}"
        )
    aad = binding.additional_data(kid, wrap)
    info = _data_key_info(kid, binding.ledger_id, binding.deployment)
    try:
        data_key = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(
            wrap, ring[kid], info
        )
        plain = AESGCM(_message_key(psk, data_key, salt, aad)).decrypt(_NONCE, sealed, aad)
    except (InvalidTag, ValueError) as exc:
        raise CannotOpen(
            "the sealed message does not open: it was altered, sealed with another seal psk, or "
            f"made for another task than {binding.task_id!r} attempt {binding.retries} of "
            f"{binding.deployment!r}"
        ) from exc
    return Message.from_bytes(plain)


@cache
def _cipher() -> type[AESGCM]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as exc:
        raise _unavailable() from exc
    return AESGCM


def _message_key(psk: bytes, data_key: bytes, salt: bytes, aad: bytes) -> bytes:
    return hmac_sha256(psk).digest(data_key + salt + sha256(aad).digest())


def _data_key_info(kid: bytes, ledger_id: str, deployment: str) -> bytes:
    return _DATA_KEY_DOMAIN + _list((kid, ledger_id.encode(), deployment.encode()))


def _prefixed(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _list(values: Iterable[bytes]) -> bytes:
    return b"".join([_prefixed(value) for value in values])


def _unavailable() -> SealingUnavailable:
    return SealingUnavailable(
        "sealing needs the package cryptography, 47 or newer: pip install 'celerytrail[seal]'"
    )
