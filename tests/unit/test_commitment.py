"""The commitment's bytes are laid down: what is stored today is checked in years."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.commitment import commit

SALT = bytes(range(32))


def test_the_bytes_that_are_hashed() -> None:
    written_out = (
        b"celerytrail/commit/v1\0"
        + b"\x04"
        + b"args"
        + b"\0\0\0\0\0\0\0\x03"
        + SALT
        + b"[1]"
    )  # fmt: skip
    assert commit("args", SALT, b"[1]") == sha256(written_out).digest()


def test_a_known_commitment() -> None:
    assert commit("args", SALT, b"[1]").hex() == (
        "4a17e524d8b445f3ffba204f868e650a5644c238a8baeb7da989a98856d9d048"
    )


@given(st.tuples(st.sampled_from(["args", "kwargs", "argsk"]), st.binary(max_size=40)), st.data())
def test_other_inputs_give_another_commitment(
    first: tuple[str, bytes], data: st.DataObject
) -> None:
    second = data.draw(
        st.tuples(st.sampled_from(["args", "kwargs", "argsk"]), st.binary(max_size=40))
    )
    same = commit(first[0], SALT, first[1]) == commit(second[0], SALT, second[1])
    assert same == (first == second)


def test_the_salt_counts() -> None:
    assert commit("args", SALT, b"x") != commit("args", bytes(32), b"x")


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_salt_of_another_length_is_refused(salt: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commit("args", salt, b"")


@pytest.mark.parametrize("kind", ["", "x" * 256])
def test_a_kind_that_has_no_length_byte_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="payload kind"):
        commit(kind, SALT, b"")
