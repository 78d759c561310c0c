"""What is remembered from one record for the next changes no span."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.shipper.identity import identify
from celerytrail.exporter.shipper.span_builder import build_span
from celerytrail.exporter.spool.record import Record
from tests.unit.shipper.segments import HEADER, NOW, RUN, headers, record, request, trail

odd = st.sampled_from([0, 1, True, False, 1.0, None, "", "celery", "1", (1,), [1], {}])


def span(item: Record) -> bytes:
    return build_span(item, identify(HEADER, item), {})


def start(asked: Any, sent: Any, run_id: str = RUN) -> Record:
    return record("started", 3, trail=sent, request=asked, run_id=run_id)


def end(asked: Any, sent: Any, run_id: str = RUN) -> Record:
    return record("succeeded", 4, trail=sent, request=asked, run_id=run_id, start_unix_nano=NOW - 5)


@given(st.dictionaries(st.sampled_from(["retries", "priority", "group", "is_eager", "eta"]), odd))
def test_the_end_of_a_run_is_the_same_span_after_its_start_and_alone(more: dict[str, Any]) -> None:
    asked, sent = request(**more), trail()
    span(start(asked, sent))
    after = span(end(asked, sent))
    # Equal, and not the same object: nothing is remembered of it.
    assert after == span(end((*asked,), sent))


def test_a_request_with_another_trail_or_run_is_another_one() -> None:
    asked = request()
    for sent, run_id in ((trail(sent=NOW - 7), RUN), (None, RUN), (trail(), "55" * 8)):
        span(start(asked, trail()))
        assert span(end(asked, sent, run_id)) == span(end((*asked,), sent, run_id))


@given(st.lists(st.tuples(odd, odd, odd, odd), min_size=2, max_size=4))
def test_values_that_are_equal_and_not_the_same_stay_apart(given: list[tuple[Any, ...]]) -> None:
    for exchange, routing_key, priority, task in given:
        item = record(
            "sent", 2, trail=trail(), headers=headers(task=task), exchange=exchange,
            routing_key=routing_key, priority=priority,
        )  # fmt: skip
        text = span(item)
        for value, name in ((exchange, b"celery.exchange"), (task, b"celery.task")):
            said = "" if value is None else str(value)
            expected = name + b"\x12" + bytes([len(said) + 2, 0x0A, len(said)]) + said.encode()
            assert (expected in text) == bool(said)
