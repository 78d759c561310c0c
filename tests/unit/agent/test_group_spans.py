from __future__ import annotations

from celerytrail.exporter.agent.group_spans import GroupSpan, GroupSpans
from celerytrail.exporter.agent.ids import Ids


def test_the_first_claim_wins() -> None:
    spans = GroupSpans()
    first, second = GroupSpan("t1", "s1"), GroupSpan("t2", "s2")
    assert spans.get("g") is None
    assert spans.claim("g", first) is first
    assert spans.claim("g", second) is first
    assert spans.get("g") is first


def test_the_table_is_bounded_and_forgets_the_oldest() -> None:
    spans = GroupSpans(limit=3)
    for number in range(5):
        spans.claim(str(number), GroupSpan("t", str(number)))
    assert len(spans) == 3
    assert spans.get("0") is None
    assert spans.get("4") is not None


def test_ids_are_hex_of_the_right_length_and_differ() -> None:
    ids = Ids()
    pairs = [ids.pair() for _ in range(500)]
    spans = [ids.span_id() for _ in range(500)]
    assert {len(text) for text in pairs} == {48}
    assert {len(text) for text in spans} == {16}
    assert len({text[:32] for text in pairs}) == 500
    assert len({*spans, *(text[32:] for text in pairs)}) == 1000
    assert int(ids.trace_id(), 16)
