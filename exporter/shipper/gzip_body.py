"""The gzip of a request (RFC 1952): what does not get smaller is stored, at a tenth of the cost.

Sealed bodies are as good as random. Pieces of a request that a sample shows to be mostly such are
put into stored blocks of the same deflate stream (RFC 1951, 3.2.4); every reader takes them.
"""

from __future__ import annotations

import zlib
from struct import Struct

LEVEL = 1
PIECE_BYTES = 32 * 1024
"""Bytes that are looked at, and compressed or stored, as one; a stored block holds up to 65,535."""

_SAMPLE_BYTES = 1024
_MOST_OF_TEXT = 200
"""Different values among so many bytes: text, ids and numbers have fewer, random bytes have 250."""

# Magic, method deflate, no flags, no time; 4: made by the fastest way; 255: on no known system.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_STORED = Struct(
    "<BHH"
)  # a block that is not the last one, its length, and that with all bits turned
_TRAILER = Struct("<II")


def gzip_body(data: bytes) -> bytes:
    """Return the gzip of some bytes."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [_HEADER]
    aligned = True
    for start in range(0, len(data), PIECE_BYTES):
        piece = data[start : start + PIECE_BYTES]
        if _is_dense(piece):
            if not aligned:
                # To a whole byte; and nothing after it refers to what is before.
                parts.append(compressor.flush(zlib.Z_FULL_FLUSH))
                aligned = True
            size = len(piece)
            parts += (_STORED.pack(0, size, size ^ 0xFFFF), piece)
        else:
            parts.append(compressor.compress(piece))
            aligned = False
    parts.append(compressor.flush())
    parts.append(_TRAILER.pack(zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)


def _is_dense(piece: bytes) -> bool:
    start = max(0, (len(piece) - _SAMPLE_BYTES) // 2)
    sample = piece[start : start + _SAMPLE_BYTES]
    return len(set(sample)) > _MOST_OF_TEXT
