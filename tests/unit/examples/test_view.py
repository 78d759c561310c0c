"""The live view shows what there is, and shouts when the chain is broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import StringIO

import pytest
from rich.console import Console

from celerytrail.examples.demo.observation import (
    Counts,
    Failure,
    Observation,
    Slow,
    TaskState,
    Verified,
)
from celerytrail.examples.demo.view import Rates, button_line, rates, render

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
SEEN = Observation(
    counts=Counts(tasks=12, spans=40, missing=0, unterminated=1, blocks=6, head=6),
    states=[TaskState("shop.pack", "succeeded", 11), TaskState("shop.pack", "odd", 1)],
    slowest=[Slow("shop.invoice", "id", 1_500_000, None, "back@host")],
    failures=[Failure("f" * 36, "shop.charge", "shop.errors.Declined", '"no [money]"', "r" * 36, "shop.order", NOW)],
    verified=Verified(status="internal", verified_to=5, broken=0, now=NOW),
)  # fmt: skip


def text_of(observation: Observation) -> str:
    console = Console(file=StringIO(), width=150)
    console.print(render(observation, 13, Rates(0, 0)))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    "part",
    [
        "tasks written down 13, stored 12",
        "events missing 0",
        "processes that died 1",
        "chain verified up to block 5 of 6",
        "1.500 s",
        "Declined: no [money]",
        "shop.order rrrrrrrr",
        "odd",
    ],
)
def test_it_shows(part: str) -> None:
    assert part in text_of(SEEN)


def test_a_broken_chain_is_not_called_verified() -> None:
    for verified in (replace(SEEN.verified, broken=1), replace(SEEN.verified, status="broken")):
        text = text_of(replace(SEEN, verified=verified))
        assert "chain BROKEN" in text
        assert "verified up to" not in text


def test_before_the_first_verification_it_says_so() -> None:
    text = text_of(replace(SEEN, verified=Verified(None, None, 0, NOW)))
    assert "chain not verified yet" in text


def test_rates_are_what_came_between_two_looks() -> None:
    later = replace(
        SEEN,
        counts=replace(SEEN.counts, tasks=20, spans=60),
        verified=replace(SEEN.verified, now=NOW + timedelta(seconds=4)),
    )
    assert rates(SEEN, later) == Rates(tasks=2.0, spans=5.0)
    assert rates(None, later) == Rates(0.0, 0.0)


def test_the_last_failure_can_be_sent_again_by_a_line_to_copy() -> None:
    text = button_line(SEEN, ". /d/buttons.env; celerytrail retry").plain
    assert text.strip() == f"send it again: . /d/buttons.env; celerytrail retry {'f' * 36}"
    assert not button_line(replace(SEEN, failures=[]), "celerytrail retry").plain
    assert not button_line(SEEN, "").plain
