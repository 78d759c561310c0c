"""A refusal is a row, a flood of them a row a minute, and none is lost while the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from celerytrail.action_api.actor import Actor, Role
from celerytrail.action_api.config import Limits
from celerytrail.action_api.errors import Unavailable
from celerytrail.action_api.http import refusals as refusals_module
from celerytrail.action_api.http.metrics import Metrics
from celerytrail.action_api.http.refusals import Refusal, Refusals
from celerytrail.exporter.deployment import Deployment

ALICE = Actor("grafana", "alice", "user:a", Role.VIEWER, 1)
LIMITS = Limits(unauthenticated_refusals_per_minute=3, refusals_per_minute_per_actor=2)


class Ledger:
    """Keeps rows, or is away; and the time."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.away = False
        self.tried = 0
        self.now = 0.0

    def append_refusal(self, **row: Any) -> None:
        self.tried += 1
        if self.away:
            raise Unavailable("away")
        self.rows.append(row)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def refusals(ledger: Ledger) -> Iterator[Refusals]:
    made = Refusals(ledger, LIMITS, Metrics(), lambda: ledger.now)
    yield made
    ledger.away = False
    made.close()


def refusal(actor: Actor | None = None, why: str = "no_proof", **more: Any) -> Refusal:
    return Refusal("retry", "not_authenticated", why, "request-1", actor, **more)


def test_one_refusal_is_one_row(ledger: Ledger, refusals: Refusals) -> None:
    shop = Deployment("", "shop", "")
    refusals.record(refusal(ALICE, deployment=shop, target={"task_id": "t"}))
    refusals.record(refusal(claimed={"username": "bob"}))
    assert ledger.rows == [
        {
            "verb": "retry",
            "actor": "grafana:1:alice",
            "actor_kind": "grafana",
            "role": "viewer",
            "deployment": shop,
            "request_id": "request-1",
            "target": {"task_id": "t"},
            "detail": {"code": "not_authenticated", "why": "no_proof", "subject": "user:a"},
        },
        {
            "verb": "retry",
            "actor": "unauthenticated",
            "actor_kind": "unauthenticated",
            "role": None,
            "deployment": None,
            "request_id": "request-1",
            "target": None,
            "detail": {
                "code": "not_authenticated",
                "why": "no_proof",
                "claimed": {"username": "bob"},
            },
        },
    ]


def test_a_flood_is_one_row_a_minute(ledger: Ledger, refusals: Refusals) -> None:
    for number in range(10):
        refusals.record(refusal(why="no_proof" if number % 2 else "token_expired"))
        refusals.record(refusal(ALICE))
    assert len(ledger.rows) == 3 + 2
    ledger.now = 59.9
    refusals.record(refusal())
    assert len(ledger.rows) == 3 + 2
    ledger.now = 60.1
    refusals.flush()
    first, second = ledger.rows[5:]
    assert (first["verb"], first["actor"]) == ("refusals", "unauthenticated")
    assert first["detail"] == {
        "code": "too_many_refusals",
        "count": 8,
        "why": {"token_expired": 3, "no_proof": 5},
        "seconds": 60,
    }
    assert (second["actor"], second["detail"]["count"]) == ("grafana:1:alice", 8)
    refusals.record(refusal())  # a new minute
    assert len(ledger.rows) == 8
    assert ledger.rows[7]["verb"] == "retry"


def test_the_sum_is_written_though_nobody_asks_again(
    ledger: Ledger, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[float] = []

    class Timer:
        def __init__(self, seconds: float, function: Any) -> None:
            self.function = function
            started.append(seconds)
            timers.append(self)

        def start(self) -> None: ...
        def cancel(self) -> None: ...
        def is_alive(self) -> bool:
            return True

    timers: list[Timer] = []
    monkeypatch.setattr(refusals_module.threading, "Timer", Timer)
    for _ in range(5):
        refusals.record(refusal())
    assert started == [60.0]
    ledger.now = 60
    timers[0].function()
    assert ledger.rows[-1]["detail"]["count"] == 2
    assert started == [60.0]


def test_while_the_database_is_away_refusals_are_summed_up(
    ledger: Ledger, refusals: Refusals
) -> None:
    ledger.away = True
    for _ in range(4):
        refusals.record(refusal())
    assert ledger.tried == 1, "a refusal stays cheap: the database is left alone for a while"
    ledger.now = 6
    refusals.record(refusal())
    assert ledger.tried == 2
    ledger.now = 61
    refusals.flush()
    assert ledger.rows == []
    ledger.away = False
    ledger.now = 122
    refusals.flush()
    ((row),) = ledger.rows
    assert (row["verb"], row["detail"]["count"]) == ("refusals", 5)


def test_what_is_left_is_written_at_the_end(ledger: Ledger, refusals: Refusals) -> None:
    for _ in range(5):
        refusals.record(refusal())
    refusals.close()
    assert ledger.rows[-1]["detail"]["count"] == 2


def test_very_many_actors_share_a_window(
    ledger: Ledger, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals_module, "MAX_ACTORS", 2)
    for number in range(10):
        refusals.record(refusal(Actor("grafana", f"u{number}", "s", Role.VIEWER, 1)))
    assert len(ledger.rows) == 2 + 2
    refusals.close()
    assert (ledger.rows[-1]["actor"], ledger.rows[-1]["detail"]["count"]) == ("many", 6)
