"""The rules of time for signing keys, by a clock of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from celerytrail.action_api.errors import Unavailable
from celerytrail.action_api.identity.jwks import JwksError
from celerytrail.action_api.identity.token_keys import TokenKeys


class Grafana:
    """Grafana's endpoint, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.keys: dict[str, Any] = {"a": object()}
        self.down = False
        self.asked = 0

    def fetch(self, url: str) -> Mapping[str, Any]:
        assert url == "http://g/keys"
        self.asked += 1
        if self.down:
            raise JwksError("down")
        return dict(self.keys)


@pytest.fixture
def grafana() -> Grafana:
    return Grafana()


@pytest.fixture
def keys(grafana: Grafana) -> TokenKeys:
    return TokenKeys("http://g/keys", grafana.fetch, lambda: grafana.now)


def test_known_keys_are_taken_for_an_hour(grafana: Grafana, keys: TokenKeys) -> None:
    for _ in range(3):
        assert keys.key("a") is grafana.keys["a"]
        grafana.now += 1199
    assert grafana.asked == 1
    grafana.now += 10
    keys.key("a")
    assert grafana.asked == 2


def test_an_unknown_key_asks_again_at_most_once_in_30_seconds(
    grafana: Grafana, keys: TokenKeys
) -> None:
    keys.key("a")
    for _ in range(5):
        assert keys.key("b") is None
        grafana.now += 5.9
    assert grafana.asked == 1
    grafana.keys["b"] = object()
    grafana.now += 1
    assert keys.key("b") is grafana.keys["b"]
    assert keys.key("c") is None
    assert grafana.asked == 2


def test_a_key_that_grafana_gave_up_is_given_up(grafana: Grafana, keys: TokenKeys) -> None:
    keys.key("a")
    grafana.keys = {"b": object()}
    grafana.now += 3601
    assert keys.key("a") is None


def test_in_an_outage_known_keys_are_good_for_a_day(grafana: Grafana, keys: TokenKeys) -> None:
    keys.key("a")
    grafana.down = True
    grafana.now += 24 * 3600 - 1
    assert keys.key("a") is grafana.keys["a"]
    with pytest.raises(Unavailable):
        keys.key("b")  # nobody can say that there is no such key
    grafana.now += 2
    with pytest.raises(Unavailable):
        keys.key("a")
    assert grafana.asked == 2
    grafana.down = False
    grafana.now += 30
    assert keys.key("a") is grafana.keys["a"]
    assert keys.key("b") is None


def test_before_the_first_answer_it_is_asked_every_two_seconds(
    grafana: Grafana, keys: TokenKeys
) -> None:
    grafana.down = True
    for _ in range(4):
        with pytest.raises(Unavailable):
            keys.key("a")
        grafana.now += 0.9
    assert grafana.asked == 2
    grafana.down = False
    grafana.now += 2
    assert keys.key("a") is not None
