"""HMAC-SHA256 is the standard library's."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.hmac_sha256 import HmacSha256, hmac_sha256


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), max_size=5))
def test_it_gives_what_hmac_gives(key: bytes, messages: list[bytes]) -> None:
    keyed = HmacSha256(key)
    for message in messages:
        assert keyed.digest(message) == hmac.digest(key, message, "sha256")
        assert hmac_sha256(key).digest(message) == hmac.digest(key, message, "sha256")


def test_the_first_case_of_rfc_4231() -> None:
    assert HmacSha256(b"\x0b" * 20).digest(b"Hi There").hex() == (
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )
