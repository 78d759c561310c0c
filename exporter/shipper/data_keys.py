"""The data key of a segment, and its wrap in the ``.wrap`` file beside it.

The key is derived from the secret of the segment, so that it needs no storing. Its wrap is random
each time it is made, and it is part of every sealed body, so it is written down before the first
use: a shipper that was killed sends the same bytes again.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from celerytrail.exporter.sealed import (
    KEY_BYTES,
    KID_BYTES,
    WRAP_BYTES,
    DataKey,
    key_id,
    wrap_data_key,
)
from celerytrail.exporter.spool.atomic_file import replace_file
from celerytrail.exporter.spool.segment import WRAP_SUFFIX, SegmentHeader

_log = logging.getLogger(__name__)

_MAGIC = b"CTWRAP\0\x01"
_BINDING_BYTES = 16
_FILE_BYTES = len(_MAGIC) + KID_BYTES + _BINDING_BYTES + WRAP_BYTES
_KEY_INFO = b"celerytrail/segment-key/v1\0"
_BINDING_DOMAIN = b"celerytrail/wrap/v1\0"


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """What it takes to seal: the action API's public key, the shared secret, the ledger's id.

    ``public_key`` is the raw 32 bytes of an X25519 key, ``psk`` 32 random bytes that only shipper
    and action API have. ``ledger_id`` is the uuid of the ledger as text, or empty.
    """

    public_key: bytes
    psk: bytes = field(repr=False)
    ledger_id: str = ""


def segment_data_key(
    path: Path, header: SegmentHeader, deployment: str, keys: SealingKeys
) -> DataKey:
    """Return the data key for the bodies of the segment at ``path``.

    The wrap is read from the ``.wrap`` file, or made and stored there, on the disk when this
    returns. A wrap for an older public key stays in use: bodies may have been sent with it. One for
    another seal psk, ledger or deployment is replaced. A wrap that cannot be written is used all the
    same: on a full disk, delivering is what makes room.
    """
    wrap_path = path.with_suffix(WRAP_SUFFIX)
    binding = _binding(keys, deployment)
    stored = _read(wrap_path)
    if stored is not None and stored[1] == binding:
        kid, _, wrap = stored
        return DataKey(kid, wrap, _derive(header, kid))
    if stored is not None:
        _log.warning("%s was made for other keys or another deployment; made anew", wrap_path.name)
    kid = key_id(keys.public_key)
    key = _derive(header, kid)
    wrap = wrap_data_key(key, keys.public_key, keys.ledger_id, deployment)
    try:
        replace_file(wrap_path, _MAGIC + kid + binding + wrap, durable=True)
    except OSError as exc:
        _log.error(
            "%s cannot be written: %s; after a crash its bodies would be sealed anew, which the "
            "receiver takes for other ones",
            wrap_path,
            exc.strerror,
        )
    return DataKey(kid, wrap, key)


def _read(path: Path) -> tuple[bytes, bytes, bytes] | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) != _FILE_BYTES or not data.startswith(_MAGIC):
        return None
    rest = data[len(_MAGIC) :]
    return (
        rest[:KID_BYTES],
        rest[KID_BYTES : KID_BYTES + _BINDING_BYTES],
        rest[KID_BYTES + _BINDING_BYTES :],
    )


def _binding(keys: SealingKeys, deployment: str) -> bytes:
    about = sha256(keys.ledger_id.encode() + b"\0" + deployment.encode()).digest()
    return hmac.digest(keys.psk, _BINDING_DOMAIN + about, "sha256")[:_BINDING_BYTES]


def _derive(header: SegmentHeader, kid: bytes) -> bytes:
    """Derive 32 bytes from the secret by HKDF-SHA256 (RFC 5869); one block is enough."""
    extracted = hmac.digest(bytes.fromhex(header.stream_id), header.secret, "sha256")
    info = _KEY_INFO + header.segment.to_bytes(8, "big") + kid
    return hmac.digest(extracted, info + b"\x01", "sha256")[:KEY_BYTES]
