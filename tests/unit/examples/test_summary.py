"""The demo's verdict: it is all there and untouched, or it says what is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from celerytrail.examples.demo.summary import Summary

GOOD = Summary(
    tasks_sent=7, tasks_stored=7, spans_stored=30, events_missing=0, chain="ok", blocks=3, seconds=1.5
)  # fmt: skip


def test_nothing_is_wrong_with_a_run_that_has_it_all() -> None:
    assert GOOD.complaints() == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tasks_stored": 5}, "2 tasks are not in the ledger"),
        ({"events_missing": 3}, "3 events are missing"),
        ({"chain": "broken"}, "the chain is broken"),
        ({"chain": "unknown"}, "the chain is unknown"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, int | str], complaint: str) -> None:
    assert replace(GOOD, **change).complaints() == [complaint]  # type: ignore[arg-type]


def test_the_json_is_one_line_with_the_promised_keys() -> None:
    text = GOOD.as_json()
    assert "\n" not in text
    assert json.loads(text) == {
        "tasks_sent": 7,
        "tasks_stored": 7,
        "spans_stored": 30,
        "events_missing": 0,
        "chain": "ok",
        "blocks": 3,
        "seconds": 1.5,
    }
