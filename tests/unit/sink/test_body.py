"""A body is read as a stream, within bounds, whatever its sender claims."""

from __future__ import annotations

import gzip
import random
import socket
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.sink.admission import Admission
from celerytrail.exporter.sink.body import Body, BodyBounds, is_gzip, read_body, reserve
from celerytrail.exporter.sink.refusal import RequestRefused

MIB = 1024 * 1024
BOUNDS = BodyBounds()


class Counted:
    """A body that counts what is asked of it."""

    def __init__(self, content: bytes) -> None:
        self._source = BytesIO(content)
        self.taken = 0

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(size)
        self.taken += len(piece)
        return piece


def read(content: bytes, packed: bool = False, bounds: BodyBounds = BOUNDS) -> Body:
    ticket = Admission(10, 1024 * MIB).enter()
    return read_body(BytesIO(content), packed, bounds, ticket, None)


def refusal(content: bytes, packed: bool = False, bounds: BodyBounds = BOUNDS) -> int:
    with pytest.raises(RequestRefused) as caught:
        read(content, packed, bounds)
    return caught.value.status


@given(st.binary(max_size=5000), st.integers(1, 9))
def test_what_was_packed_comes_out(content: bytes, level: int) -> None:
    assert read(gzip.compress(content, level), True).content == content
    assert read(content).content == content


def test_several_members_are_one_body() -> None:
    assert (
        read(gzip.compress(b"a" * 70_000) + gzip.compress(b"b"), True).content
        == b"a" * 70_000 + b"b"
    )


def test_large_incompressible_body() -> None:
    content = random.Random(1).randbytes(3 * MIB)
    assert read(gzip.compress(content), True).content == content


def test_sizes_are_bounded() -> None:
    assert read(bytes(4 * MIB)).sent_bytes == 4 * MIB
    assert refusal(bytes(4 * MIB + 1)) == 413
    noise = random.Random(1).randbytes(20_000)
    assert refusal(gzip.compress(noise * 1700), True) == 413


def test_zeros_stop_early() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(256)) + packer.flush()
    source = Counted(packed)
    ticket = Admission(10, 64 * MIB).enter()
    with pytest.raises(RequestRefused) as caught:
        read_body(source, True, BOUNDS, ticket, None)
    assert caught.value.status == 413
    assert source.taken <= 64 * 1024


BROKEN_GZIP = {
    "nothing": b"",
    "no gzip": b"garbage",
    "the magic alone": b"\x1f\x8b",
    "one byte short": gzip.compress(b"x" * 1000)[:-1],
    "without its trailer": gzip.compress(b"x" * 1000)[:-9],
    "cut in the middle": gzip.compress(b"x" * 1000)[:20],
    "bytes after it": gzip.compress(b"x") + b"trailing",
    "another checksum": gzip.compress(b"x")[:-8] + bytes(8),
    "zlib": zlib.compress(b"x"),
}


@pytest.mark.parametrize("content", BROKEN_GZIP.values(), ids=BROKEN_GZIP)
def test_broken_gzip_is_400(content: bytes) -> None:
    assert refusal(content, True) == 400


@pytest.mark.parametrize("value", [None, "", "identity", "gzip", " GZIP "])
def test_one_known_encoding(value: str | None) -> None:
    assert is_gzip(value) == ("gzip" in (value or "").lower())


@pytest.mark.parametrize("value", ["br", "deflate", "gzip, gzip", "gzip,identity", "zstd"])
def test_any_other_encoding_is_415(value: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        is_gzip(value)
    assert caught.value.status == 415


def test_a_stalled_client_is_let_go() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x")

        class FromSocket:
            def read(self, size: int, /) -> bytes:
                return ours.recv(size)

        with pytest.raises(RequestRefused) as caught:
            read_body(FromSocket(), False, BodyBounds(seconds=0.2), Admission(1, MIB).enter(), ours)
        assert (caught.value.status, caught.value.retry_after) == (503, 1)


def test_requests_in_flight_are_bounded() -> None:
    admission = Admission(2, MIB)
    first, _ = admission.enter(), admission.enter()
    with pytest.raises(RequestRefused) as caught:
        admission.enter()
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
    first.close()
    admission.enter()


def test_bytes_in_flight_are_bounded_but_one_always_fits() -> None:
    admission = Admission(9, 10)
    first = admission.enter()
    first.hold(100)
    second = admission.enter()
    with pytest.raises(RequestRefused) as caught:
        second.hold(1)
    assert caught.value.status == 503
    second.close()
    first.hold(200)
    first.close()
    assert (admission.requests, admission.bytes) == (0, 0)


def test_what_is_announced_is_reserved() -> None:
    admission = Admission(9, 64 * MIB)
    ticket = admission.enter()
    with pytest.raises(RequestRefused) as caught:
        reserve(ticket, 4 * MIB + 1, False, BOUNDS)
    assert caught.value.status == 413
    reserve(ticket, 1000, False, BOUNDS)
    assert admission.bytes == 1000
    reserve(ticket, None, True, BOUNDS)
    assert admission.bytes == 32 * MIB


def test_the_ratio_is_bounded_below_the_size() -> None:
    with pytest.raises(RequestRefused, match="times its size"):
        read(gzip.compress(bytes(8 * MIB), 9), True)
    repetitive = b"".join(random.Random(n).randbytes(40) + b"celery.task" * 60 for n in range(5000))
    assert len(repetitive) > 2 * MIB
    assert read(gzip.compress(repetitive, 9), True).content == repetitive
