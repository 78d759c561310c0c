"""The trail is a text that anybody may have written: what we write is read, all else is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.spool.trail import (
    MAX_ENCLOSING,
    UNCOUNTED,
    Enclosing,
    Trail,
    read_trail,
)

TRACE, SEND = "ab" * 16, "cd" * 8
BARE = f"1;{TRACE}{SEND};5;;;;;;queue"


def span_ids() -> st.SearchStrategy[str]:
    return st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")


def enclosing() -> st.SearchStrategy[Enclosing]:
    return st.builds(
        Enclosing, st.text(min_size=1), span_ids(), st.integers(UNCOUNTED, 999_999_999)
    )


@given(
    st.builds(
        Trail,
        st.just(TRACE),
        span_ids(),
        st.integers(0, 2**63 - 1),
        span_ids() | st.just(""),
        span_ids() | st.just(""),
        span_ids() | st.just(""),
        st.text(),
        st.text(),
        st.text(),
        st.lists(enclosing(), max_size=MAX_ENCLOSING).map(tuple),
    )
)
def test_what_is_written_is_read(trail: Trail) -> None:
    assert read_trail(trail.text()) == trail


@given(st.text())
def test_anything_may_follow_in_a_later_release(more: str) -> None:
    assert read_trail(f"{BARE};;{more}") == Trail(TRACE, SEND, 5, queue="queue")


@given(st.text())
def test_what_is_said_of_groups_is_none_where_it_cannot_be_read(text: str) -> None:
    found = read_trail(f"{BARE};{text}")
    assert found is not None
    assert len(found.enclosing) <= MAX_ENCLOSING


@pytest.mark.parametrize("bad", ["x", f"{SEND}2", f"{SEND}2:", f"{'0' * 16}2:g", f"{SEND}-2:g"])
def test_one_bad_group_spoils_all(bad: str) -> None:
    found = read_trail(f"{BARE};{SEND}2:g,{bad}")
    assert found is not None
    assert found.enclosing == ()


def test_no_more_groups_are_said_than_are_read() -> None:
    many = tuple(Enclosing(str(number), SEND, 2) for number in range(MAX_ENCLOSING + 3))
    found = read_trail(Trail(TRACE, SEND, 5, enclosing=many).text())
    assert found is not None
    assert found.enclosing == many[:MAX_ENCLOSING]


def test_a_trail_knows_the_groups_around() -> None:
    trail = Trail(TRACE, SEND, 5, "", "11" * 8, "22" * 8, "inner", "outer")
    trail = trail._replace(enclosing=(Enclosing("outer", "22" * 8, 3), Enclosing("mid", SEND)))
    assert trail.known("inner") == Enclosing("inner", "11" * 8)
    assert trail.known("outer") == Enclosing("outer", "22" * 8, 3)
    assert trail.known("mid") == Enclosing("mid", SEND)
    assert trail.known("other") is trail.known("") is None
