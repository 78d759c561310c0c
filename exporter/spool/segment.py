"""The format of a segment file: magic, frames, and the header that is the first frame.

``docs/design/spool.md`` describes it. This module only turns bytes into frames and back; it opens
no file, so that writer and reader share one description of the bytes.
"""

from __future__ import annotations

import marshal
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from zlib import crc32

from celerytrail.exporter.spool.errors import SpoolFormatError
from celerytrail.exporter.spool.record import MARSHAL_VERSION

FORMAT_VERSION = 1
MAGIC = b"CTSPOOL" + bytes([FORMAT_VERSION])
FRAME_HEAD = struct.Struct("<II")
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
"""A frame that claims to be longer is torn: nothing larger is ever written."""

SEGMENT_SUFFIX = ".seg"
ACK_SUFFIX = ".ack"
WRAP_SUFFIX = ".wrap"

_SEGMENT_NAME = re.compile(r"([0-9a-f]{32})-([0-9]{6,})\.seg")
_RECORD_FIRST_BYTE = b"("  # marshal version 2 begins every tuple with it


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame: where it starts, where the next one starts, and its payload."""

    start: int
    end: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Torn:
    """Bytes that are no frame, from ``start`` to ``end``.

    ``at_tail`` is true when no frame follows them in the bytes given: while the writer lives, the
    rest of a frame may still come.
    """

    start: int
    end: int
    at_tail: bool


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """First frame of a segment: which stream this is, and who wrote it."""

    stream_id: str
    segment: int
    first_seq: int
    secret: bytes
    boot_id: str
    host: str
    pid: int
    process_kind: str
    worker: str
    namespace: str
    service: str
    environment: str
    resource_attributes: str
    agent_version: str
    celery_version: str
    python_version: str
    opened_unix_nano: int

    def __repr__(self) -> str:
        # The secret salts commitments: it must not reach a log through a repr.
        return f"SegmentHeader(stream_id={self.stream_id!r}, segment={self.segment}, worker={self.worker!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return the header as the dict that is marshalled into the first frame."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SegmentHeader:
        """Check a dict read from a first frame and name its values.

        Keys that a newer writer added are ignored. Raises SpoolFormatError naming the key that is
        missing or has the wrong type.
        """
        if not isinstance(values, Mapping):
            raise SpoolFormatError(f"a segment header is a dict, not {type(values).__name__}")
        found: dict[str, Any] = {}
        for item in fields(cls):
            expected = _HEADER_TYPES[str(item.type)]
            value = values.get(item.name)
            if not isinstance(value, expected):
                raise SpoolFormatError(
                    f"segment header: {item.name} is {type(value).__name__}, not {item.type}"
                )
            found[item.name] = value
        return cls(**found)

    def to_frame(self) -> bytes:
        """Return magic and header frame: the first bytes of a segment file."""
        return MAGIC + encode_frame(marshal.dumps(self.to_dict(), MARSHAL_VERSION))


_HEADER_TYPES: Mapping[str, type] = {"str": str, "int": int, "bytes": bytes}


def encode_frame(payload: bytes) -> bytes:
    """Frame a payload: length, CRC-32 and the bytes.

    Raises SpoolFormatError for an empty payload or one over ``MAX_PAYLOAD_BYTES``.
    """
    size = len(payload)
    if not 0 < size <= MAX_PAYLOAD_BYTES:
        raise SpoolFormatError(
            f"a frame holds 1 to {MAX_PAYLOAD_BYTES} bytes; this payload has {size}"
        )
    return FRAME_HEAD.pack(size, crc32(payload)) + payload


def encode_record(values: tuple[Any, ...]) -> bytes:
    """Marshal and frame one record.

    Raises ValueError for a value that marshal does not know, SpoolFormatError for a size out of
    bounds.
    """
    return encode_frame(marshal.dumps(values, MARSHAL_VERSION))


def read_frame(data: bytes, offset: int) -> Frame | None:
    """Return the frame that starts at ``offset``, or None when there is no whole, valid one."""
    body = offset + FRAME_HEAD.size
    if offset < 0 or len(data) < body:
        return None
    size, checksum = FRAME_HEAD.unpack_from(data, offset)
    end = body + size
    if not 0 < size <= MAX_PAYLOAD_BYTES or len(data) < end:
        return None
    payload = data[body:end]
    return Frame(offset, end, payload) if crc32(payload) == checksum else None


def scan(data: bytes, offset: int = len(MAGIC)) -> Iterator[Frame | Torn]:
    """Yield the frames of ``data`` from ``offset`` on, and what lies torn between them, in order.

    Every byte from ``offset`` to the end is in exactly one item. An unfinished last frame is a
    ``Torn`` with ``at_tail``.
    """
    while offset < len(data):
        frame = read_frame(data, offset)
        if frame is None:
            following = _next_frame(data, offset + 1)
            end = len(data) if following is None else following.start
            yield Torn(offset, end, at_tail=following is None)
            if following is None:
                return
            frame = following
        yield frame
        offset = frame.end


def _next_frame(data: bytes, offset: int) -> Frame | None:
    # Only a payload's first byte is searched for, so that a torn megabyte is not checksummed a
    # million times.
    head = FRAME_HEAD.size
    position = offset + head
    while (position := data.find(_RECORD_FIRST_BYTE, position)) >= 0:
        frame = read_frame(data, position - head)
        if frame is not None:
            return frame
        position += 1
    return None


def read_header(data: bytes) -> tuple[SegmentHeader, int]:
    """Return the header of a segment and the offset of its first record.

    Raises SpoolFormatError when the bytes are not those of a segment, are of another format
    version, or break off before the header is whole.
    """
    if not data.startswith(MAGIC):
        if data.startswith(MAGIC[:-1]) and len(data) >= len(MAGIC):
            raise SpoolFormatError(
                f"segment of format version {data[len(MAGIC) - 1]}; this release reads version {FORMAT_VERSION}"
            )
        raise SpoolFormatError("not a spool segment: the file does not begin with its magic")
    frame = read_frame(data, len(MAGIC))
    if frame is None:
        raise SpoolFormatError("segment breaks off before its header is whole")
    return SegmentHeader.from_dict(_load(frame.payload)), frame.end


def decode_record(payload: bytes) -> tuple[Any, ...]:
    """Unmarshal the payload of a record's frame.

    Raises SpoolFormatError when it is not the marshalled tuple that it should be.
    """
    values = _load(payload)
    if not isinstance(values, tuple):
        raise SpoolFormatError(f"a spool record is a tuple, not {type(values).__name__}")
    return values


def _load(payload: bytes) -> Any:
    # marshal can be asked for code objects, but only builds them; nothing here runs one. The first
    # byte keeps them out all the same.
    if payload[:1] not in (b"(", b"{"):
        raise SpoolFormatError("a frame holds a marshalled tuple or dict; this one holds neither")
    try:
        return marshal.loads(payload)
    except (EOFError, ValueError, TypeError) as exc:
        raise SpoolFormatError(f"frame cannot be unmarshalled: {exc}") from exc


def segment_name(stream_id: str, number: int) -> str:
    """Return the file name of a segment: ``<stream>-<nnnnnn>.seg``."""
    return f"{stream_id}-{number:06d}{SEGMENT_SUFFIX}"


def parse_segment_name(name: str) -> tuple[str, int] | None:
    """Return (stream id, number) of a segment's file name, or None for any other file."""
    match = _SEGMENT_NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None
