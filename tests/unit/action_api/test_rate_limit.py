from __future__ import annotations

import pytest

from celerytrail.action_api.errors import TooManyRequests
from celerytrail.action_api.http import rate_limit
from celerytrail.action_api.http.rate_limit import RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def allowed(limit: RateLimit, actor: str) -> bool:
    try:
        limit.take(actor)
    except TooManyRequests:
        return False
    return True


def test_who_is_refused_is_told_how_long_to_wait() -> None:
    limit = RateLimit(6, Clock())
    for _ in range(6):
        limit.take("alice")
    with pytest.raises(TooManyRequests) as refused:
        limit.take("alice")
    assert refused.value.extra["retry_after_seconds"] == 10


def test_so_many_a_minute_and_no_more() -> None:
    clock = Clock()
    limit = RateLimit(6, clock)
    assert [allowed(limit, "alice") for _ in range(8)] == [True] * 6 + [False] * 2
    assert allowed(limit, "bob")
    clock.now = 9.9
    assert not allowed(limit, "alice")
    clock.now = 10.1
    assert allowed(limit, "alice")
    assert not allowed(limit, "alice")
    clock.now = 1000
    assert [allowed(limit, "alice") for _ in range(7)] == [True] * 6 + [False]


def test_actors_are_forgotten_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_ACTORS", 2)
    limit = RateLimit(1, Clock())
    assert allowed(limit, "a")
    assert allowed(limit, "b")
    assert not allowed(limit, "a")
    assert allowed(limit, "c")  # forgets b, which was used before a
    assert not allowed(limit, "a")
    assert allowed(limit, "b")
