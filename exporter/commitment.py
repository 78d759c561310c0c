"""The salted commitment of a payload item: what a span says about user data that travels apart.

Format version 1, all integers big endian::

    commitment = SHA-256( "celerytrail/commit/v1" 0x00
                        | length of kind, 1 byte | kind, UTF-8
                        | length of body, 8 bytes
                        | salt, 32 bytes
                        | body )

Kind and body carry their lengths and the salt has one length only, so no two different inputs give
the same bytes to the hash. For a sealed body the commitment is over the blob as it is sent, so that
checking it takes no key.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from celerytrail.exporter.attributes import COMMITMENT_DOMAIN

SALT_BYTES = 32
COMMITMENT_BYTES = 32
_MAX_KIND_BYTES = 255


def commit(kind: str, salt: bytes, body: bytes) -> bytes:
    """Return the 32 byte commitment to one payload item.

    ``kind`` is a name of ``PAYLOAD_KINDS`` or ``REASON_KIND``, ``salt`` 32 bytes that travel with
    the item, ``body`` its bytes as sent. Raises ValueError for a salt or a kind of another length
    than the format has.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a commitment's salt has {SALT_BYTES} bytes; this one has {len(salt)}")
    return sha256(b"%b%b%b%b" % (_prefix(kind), len(body).to_bytes(8, "big"), salt, body)).digest()


@lru_cache(maxsize=64)
def _prefix(kind: str) -> bytes:
    name = kind.encode()
    if not 0 < len(name) <= _MAX_KIND_BYTES:
        raise ValueError(
            f"a payload kind has 1 to {_MAX_KIND_BYTES} bytes; {kind!r} has {len(name)}"
        )
    return COMMITMENT_DOMAIN + bytes([len(name)]) + name
