"""The links of a send: one to the run before, one to each header of a chord, or one to the chord."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.shipper.links import MAX_LINKS, links_of
from celerytrail.exporter.spool.member_ids import member_span_id

CHORD, RUN = "c0" * 8, "ab" * 8


def linked(**fields: Any) -> Span:
    span = Span.FromString(links_of(b"t" * 16, fields))
    assert {link.trace_id for link in span.links} <= {b"t" * 16}
    return span


def targets(span: Span) -> list[tuple[str, str]]:
    return [
        (link.span_id.hex(), link.attributes[0].value.string_value)
        for link in span.links
        if link.attributes[0].key == "celery.link"
    ]


def test_a_body_links_to_each_header_that_was_counted() -> None:
    assert targets(linked(chord_headers=(CHORD, 3))) == [
        (member_span_id(CHORD, number), "chord header") for number in range(3)
    ]


def test_a_body_whose_headers_nobody_counted_links_to_the_chord() -> None:
    assert targets(linked(chord_headers=(CHORD, 0))) == [(CHORD, "chord")]


def test_a_retry_links_to_the_run_before() -> None:
    assert targets(linked(linked_run_id=RUN)) == [(RUN, "run before")]


def test_no_span_has_more_links_than_opentelemetry_lets_it() -> None:
    span = linked(chord_headers=(CHORD, 1000), linked_run_id=RUN)
    assert (len(span.links), span.dropped_links_count) == (MAX_LINKS, 1001 - MAX_LINKS)


@pytest.mark.parametrize(
    "given", [None, "what", (), (CHORD,), ("0" * 16, 3), (CHORD, -1), (CHORD, "3"), (CHORD, True)]
)
def test_nothing_is_linked_that_cannot_be_read(given: Any) -> None:
    assert not linked(chord_headers=given).links


def test_member_ids_are_as_they_are_written_down() -> None:
    # printf 'celerytrail/member/v1\0%s\0%s' c0c0c0c0c0c0c0c0 1 | sha256sum
    assert member_span_id(CHORD, 1) == "a4ad53af75c5027f"
