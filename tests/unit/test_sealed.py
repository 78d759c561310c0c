"""A sealed message opens for its task and its keys, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from celerytrail.exporter.sealed import (
    OVERHEAD_BYTES,
    SCHEME_PLAIN,
    SCHEME_SEALED,
    Binding,
    CannotOpen,
    DataKey,
    Message,
    SealedError,
    SealedFormatError,
    keep_plain,
    key_id,
    key_id_of,
    open_container,
    scheme_of,
    seal,
    wrap_data_key,
)

PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
OTHER = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PSK, SECRET, KEY = b"p" * 32, b"s" * 32, b"k" * 32
BINDING = Binding("ledger", "shop/orders/test", "task-1", 2, "ab" * 16, 7)
MESSAGE = Message(
    headers={"id": "task-1", "argsrepr": "(1,)", "timelimit": [None, None]},
    properties={"correlation_id": "task-1", "reply_to": None},
    exchange="",
    routing_key="celery",
    priority=3,
    content_type="application/x-python-serialize",
    content_encoding="binary",
    body=b"\x80\x04\x95 any bytes \0\xff",
)
DATA_KEY = DataKey(
    key_id(PUBLIC), wrap_data_key(KEY, PUBLIC, BINDING.ledger_id, BINDING.deployment), KEY
)
SEALED = seal(MESSAGE, BINDING, DATA_KEY, PSK, SECRET)


def test_it_opens_for_the_task_it_was_sealed_for() -> None:
    assert open_container(SEALED, BINDING, [OTHER, PRIVATE], PSK) == MESSAGE
    assert scheme_of(SEALED) == SCHEME_SEALED
    assert key_id_of(SEALED) == key_id(PUBLIC)
    assert len(SEALED) == len(MESSAGE.to_bytes()) + OVERHEAD_BYTES
    assert MESSAGE.body not in SEALED


def test_the_same_record_is_sealed_to_the_same_bytes() -> None:
    assert seal(MESSAGE, BINDING, DATA_KEY, PSK, SECRET) == SEALED


def test_another_message_under_the_same_number_gets_another_key() -> None:
    """Two messages under one key and nonce would give away the difference of both."""
    other = seal(replace(MESSAGE, priority=4), BINDING, DATA_KEY, PSK, SECRET)
    salt = slice(2 + 8 + 80, 2 + 8 + 80 + 32)
    assert other[salt] != SEALED[salt]


@pytest.mark.parametrize(
    "change",
    [
        {"ledger_id": "other"},
        {"deployment": "shop/orders/prod"},
        {"task_id": "task-2"},
        {"retries": 3},
        {"stream_id": "ac" * 16},
        {"seq": 8},
    ],
)
def test_it_does_not_open_for_anything_else(change: dict[str, Any]) -> None:
    with pytest.raises(CannotOpen, match="does not open"):
        open_container(SEALED, replace(BINDING, **change), [PRIVATE], PSK)


def test_lengths_keep_neighbours_apart() -> None:
    """Deployment "a" with task "bc" must not be deployment "ab" with task "c"."""
    first = replace(BINDING, deployment="a", task_id="bc")
    second = replace(BINDING, deployment="ab", task_id="c")
    assert first.additional_data(b"k", b"w") != second.additional_data(b"k", b"w")


def test_it_does_not_open_without_the_psk() -> None:
    """Whoever has the public key can make a wrap; only psk holders can make what opens."""
    with pytest.raises(CannotOpen, match="does not open"):
        open_container(SEALED, BINDING, [PRIVATE], b"q" * 32)
    with pytest.raises(CannotOpen, match="no seal psk"):
        open_container(SEALED, BINDING, [PRIVATE])


def test_it_does_not_open_without_its_private_key() -> None:
    with pytest.raises(CannotOpen, match=key_id(PUBLIC).hex()):
        open_container(SEALED, BINDING, [OTHER], PSK)


@given(st.integers(2, len(SEALED) - 1), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_every_changed_byte_is_noticed(position: int, difference: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= difference
    with pytest.raises(SealedError):
        open_container(bytes(changed), BINDING, [PRIVATE], PSK)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_our_error(data: bytes) -> None:
    with pytest.raises(SealedError):
        open_container(data, BINDING, [PRIVATE], PSK, allow_plain=False)


def test_a_plain_container_opens_only_where_it_is_allowed() -> None:
    """Anybody can make one: it must not be a way round the seal."""
    plain = keep_plain(MESSAGE)
    assert scheme_of(plain) == SCHEME_PLAIN
    assert key_id_of(plain) is None
    assert open_container(plain, BINDING, allow_plain=True) == MESSAGE
    with pytest.raises(CannotOpen, match="not sealed"):
        open_container(plain, BINDING, [PRIVATE], PSK)


@pytest.mark.parametrize("data", [b"", b"\1", b"\2\1", b"\1\7abc"])
def test_an_unknown_version_or_scheme_is_named(data: bytes) -> None:
    with pytest.raises(SealedFormatError):
        scheme_of(data)


@given(st.binary(max_size=60))
def test_a_broken_plain_container_is_refused(data: bytes) -> None:
    with pytest.raises(SealedFormatError):
        open_container(b"\1\0" + b"\0\0\0\x08" + data[:7], BINDING, allow_plain=True)


def test_no_secret_in_a_repr() -> None:
    assert "k" * 32 not in repr(DATA_KEY)
    assert "any bytes" not in repr(MESSAGE)
