from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.action_api.actor import Actor, Role
from celerytrail.action_api.errors import Refused
from celerytrail.action_api.http.confirmation import Confirmations
from celerytrail.action_api.identity.authenticate import Identity
from celerytrail.exporter.deployment import Deployment

SHOP = Deployment("", "shop", "")
ALICE = Identity(Actor("grafana", "alice", "user:a", Role.ADMIN, 1), b"k" * 32)
ORDERS = {"queue": "orders"}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_confirmation_says_what_was_seen() -> None:
    made = Confirmations(120).make(ALICE, "purge", SHOP, ORDERS, {"seen_depth": 7})
    # Another replica: nothing is kept.
    confirmed = Confirmations(120).check(made, ALICE, "purge", SHOP, ORDERS)
    assert confirmed.seen == {"seen_depth": 7}
    assert confirmed.idempotency_key.startswith("confirmation:")
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(confirmed.idempotency_key) <= 128


def test_two_confirmations_are_two() -> None:
    both = {Confirmations(120).make(ALICE, "purge", SHOP, ORDERS, {}) for _ in range(2)}
    assert len(both) == 2


def test_a_confirmation_ends() -> None:
    clock = Clock()
    confirmations = Confirmations(120, clock)
    made = confirmations.make(ALICE, "purge", SHOP, ORDERS, {})
    clock.now += 120
    confirmations.check(made, ALICE, "purge", SHOP, ORDERS)
    clock.now += 1
    with pytest.raises(Refused) as refused:
        confirmations.check(made, ALICE, "purge", SHOP, ORDERS)
    assert refused.value.code == "confirmation_expired"


def test_the_key_and_the_subject_have_to_fit() -> None:
    confirmations = Confirmations(120)
    made = confirmations.make(ALICE, "purge", SHOP, ORDERS, {})
    bob = Identity(Actor("grafana", "bob", "user:b", Role.ADMIN, 1), b"k" * 32)
    other_key = Identity(ALICE.actor, b"j" * 32)
    for identity, verb, deployment, target in (
        (bob, "purge", SHOP, ORDERS),
        (other_key, "purge", SHOP, ORDERS),
        (ALICE, "retry-chord", SHOP, ORDERS),
        (ALICE, "purge", Deployment("shop", "", ""), ORDERS),
        (ALICE, "purge", SHOP, {"queue": "other"}),
        (ALICE, "purge", SHOP, {"group_id": "orders"}),
    ):
        with pytest.raises(Refused) as refused:
            confirmations.check(made, identity, verb, deployment, target)
        assert refused.value.code == "confirmation_invalid"


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_nothing_else_is_a_confirmation(text: str) -> None:
    with pytest.raises(Refused):
        Confirmations(120).check(text, ALICE, "purge", SHOP, ORDERS)


@given(st.integers(0, 2000), st.integers(1, 127))
def test_no_byte_can_be_changed(place: int, change: int) -> None:
    made = Confirmations(120).make(ALICE, "purge", SHOP, ORDERS, {"seen_depth": 7}).encode()
    place %= len(made)
    other = made[:place] + bytes([made[place] ^ change]) + made[place + 1 :]
    with pytest.raises(Refused):
        Confirmations(120).check(other.decode("latin-1"), ALICE, "purge", SHOP, ORDERS)


def test_the_numbers_are_signed() -> None:
    made = Confirmations(120).make(ALICE, "purge", SHOP, ORDERS, {"seen_depth": 7})
    payload, _, signature = made.partition(".")
    content = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    content["seen"]["seen_depth"] = 1_000_000
    forged = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(Refused):
        Confirmations(120).check(f"{forged}.{signature}", ALICE, "purge", SHOP, ORDERS)
