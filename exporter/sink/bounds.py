"""How much of one record is kept, and what goes first when it is too much."""

from __future__ import annotations

from collections.abc import Container

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from celerytrail.exporter.attributes import COMMITMENT_PREFIX
from celerytrail.exporter.sink.wire import key_of

MAX_ATTRIBUTES = 128
"""Attributes of a span without a column of their own; those with one are always read."""

MAX_RECORD_BYTES = 256 * 1024
"""One span or resource, encoded; above it attributes are left out before it is parsed."""

MAX_READ_ATTRIBUTES = 4096
"""Attributes that are looked at in a record within its bound of bytes."""

MARK_ATTRIBUTES_CUT = "attributes_cut"

_COMMITMENT = COMMITMENT_PREFIX.encode()
_MAX_KNOWN = 512


class KeepKnown:
    """Chooses the attributes of a record over its bounds: those we know, then the first others.

    Called with the bytes of each KeyValue in the sender's order; see ``wire.trimmed``. The known
    ones have bounds of their own, so that others in front of them cannot push them out.
    """

    __slots__ = ("_bytes", "_known", "_left")

    def __init__(self, known: Container[str]) -> None:
        self._known = known
        self._left = {True: _MAX_KNOWN, False: MAX_ATTRIBUTES}
        self._bytes = {True: MAX_RECORD_BYTES, False: MAX_RECORD_BYTES}

    def __call__(self, key_value: bytes) -> bool:
        """Return whether this attribute stays."""
        key = key_of(key_value)
        known = key.startswith(_COMMITMENT) or key.decode(errors="replace") in self._known
        if self._left[known] <= 0 or len(key_value) > self._bytes[known] or _too_deep(key_value):
            return False
        self._left[known] -= 1
        self._bytes[known] -= len(key_value)
        return True


def _too_deep(key_value: bytes) -> bool:
    try:
        KeyValue.FromString(key_value)
    except DecodeError as error:
        return "MaxDepth" in str(error)
    return False
