"""Whatever is compressed or stored, gunzip gives back the same bytes."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.shipper.gzip_body import PIECE_BYTES, gzip_body

TEXT = b"celerytrail.payload.commitment " * (2 * PIECE_BYTES // 31)
NOISE = random.Random(1).randbytes(2 * PIECE_BYTES)


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.sampled_from([0, 1, 1023, PIECE_BYTES - 1, PIECE_BYTES, 40_000])
        ),
        max_size=6,
    )
)
def test_it_comes_back(parts: list[tuple[bool, int]]) -> None:
    data = b"".join((NOISE if dense else TEXT)[:size] for dense, size in parts)
    packed = gzip_body(data)
    assert gzip.decompress(packed) == data
    # As one stream with nothing after it, which is what receivers read.
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reader.decompress(packed) == data
    assert reader.eof
    assert reader.unused_data == b""


@pytest.mark.parametrize(("data", "most"), [(TEXT, 0.02), (NOISE, 1.001), (TEXT + NOISE, 0.52)])
def test_what_can_be_compressed_is(data: bytes, most: float) -> None:
    assert len(gzip_body(data)) <= len(data) * most
