"""The body of a request, read and inflated as a stream, within bounds of size, ratio and time."""

from __future__ import annotations

import socket
import time
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

from celerytrail.exporter.sink.admission import Ticket
from celerytrail.exporter.sink.refusal import (
    RequestRefused,
    malformed,
    too_large,
    unavailable,
    unsupported,
)

MAX_RATIO = 250
"""Inflated over compressed size. Spans have random ids in them and stay under 20; zeros reach 1,000."""

RATIO_FROM_BYTES = 1024 * 1024
_STEP = 64 * 1024
_EXPECTED_RATIO = 8
_GZIP = 31  # zlib's window bits for a gzip header and trailer


class Input(Protocol):
    """A body as WSGI gives it."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """``max_bytes`` as sent, ``max_inflated_bytes`` after gzip, ``seconds`` to read all of it."""

    max_bytes: int = 4 * 1024 * 1024
    max_inflated_bytes: int = 32 * 1024 * 1024
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Body:
    """An inflated body, and how many bytes of it were sent."""

    content: bytes
    sent_bytes: int


def is_gzip(content_encoding: str | None) -> bool:
    """Return whether a body is gzip; raises RequestRefused (415) for any other encoding, or two.

    https://www.rfc-editor.org/rfc/rfc9110#field.content-encoding
    """
    encoding = (content_encoding or "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise unsupported("Content-Encoding has to be gzip or absent, and only one")
    return encoding == "gzip"


def reserve(ticket: Ticket, length: int | None, gzip: bool, bounds: BodyBounds) -> None:
    """Hold what a body will probably need, before a byte of it is read.

    Raises RequestRefused: 413 when it announces more than the bound, 503 when there is no room now.
    """
    if length is not None and length > bounds.max_bytes:
        raise too_large(f"the body is larger than {bounds.max_bytes} bytes")
    expected = bounds.max_bytes if length is None else length
    if gzip:
        expected = min(expected * _EXPECTED_RATIO, bounds.max_inflated_bytes)
    ticket.hold(expected)


def read_body(
    source: Input, gzip: bool, bounds: BodyBounds, ticket: Ticket, connection: socket.socket | None
) -> Body:
    """Return the whole body, inflated.

    ``connection`` is the client's socket, where there is one: it gets a timeout, so that a client
    that stalls does not hold a thread. Raises RequestRefused: 400 for broken gzip or a body that is
    cut off, 413 over a bound, 503 when it took too long or the room is used up meanwhile.
    """
    deadline = time.monotonic() + bounds.seconds
    inflater = _Inflater(bounds) if gzip else None
    out = BytesIO()
    sent = 0
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _too_slow()
            if connection is not None:
                connection.settimeout(left)
            piece = source.read(_STEP)
            if not piece:
                break
            sent += len(piece)
            if sent > bounds.max_bytes:
                raise too_large(f"the body is larger than {bounds.max_bytes} bytes")
            if inflater is None:
                out.write(piece)
            else:
                inflater.feed(piece, sent, out)
            ticket.hold(out.tell())
    except TimeoutError:
        raise _too_slow() from None
    finally:
        if connection is not None:
            connection.settimeout(None)
    if inflater is not None and not inflater.complete:
        raise malformed("the gzip body is cut off")
    return Body(out.getvalue(), sent)


class _Inflater:
    """One or more gzip members (RFC 1952), inflated in small steps."""

    def __init__(self, bounds: BodyBounds) -> None:
        self._bounds = bounds
        self._stream = zlib.decompressobj(_GZIP)

    @property
    def complete(self) -> bool:
        return self._stream.eof

    def feed(self, piece: bytes, sent: int, out: BytesIO) -> None:
        data = piece
        while data:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            try:
                out.write(self._stream.decompress(data, _STEP))
            except zlib.error:
                raise malformed("the body is not gzip, or it is damaged") from None
            data = self._stream.unconsumed_tail or self._stream.unused_data
            self._check(sent, out.tell())
        # Output may wait inside when the input is used up.
        while not self._stream.eof:
            before = out.tell()
            try:
                out.write(self._stream.decompress(b"", _STEP))
            except zlib.error:
                raise malformed("the body is not gzip, or it is damaged") from None
            if out.tell() == before:
                break
            self._check(sent, out.tell())

    def _check(self, sent: int, inflated: int) -> None:
        if inflated > self._bounds.max_inflated_bytes:
            raise too_large(
                f"the body inflates to more than {self._bounds.max_inflated_bytes} bytes"
            )
        if inflated > RATIO_FROM_BYTES and inflated > sent * MAX_RATIO:
            raise too_large(f"the body inflates to more than {MAX_RATIO} times its size")


def _too_slow() -> RequestRefused:
    return unavailable("slow_body", "the body did not arrive in time", 1)
