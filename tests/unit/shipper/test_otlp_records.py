"""Spans, log records and attributes encoded by hand are the bytes of the official classes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from celerytrail.exporter.shipper import otlp_bytes
from celerytrail.exporter.shipper.otlp_bytes import (
    LOG,
    MAX_REMEMBERED,
    SPAN,
    constant_text,
    digest,
    integer,
    text,
)
from celerytrail.exporter.shipper.otlp_records import log_body_head, log_record_parts, span_head

LOCAL, REMOTE = 0x100, 0x300
trace_ids = st.binary(min_size=16, max_size=16)
span_ids = st.binary(min_size=8, max_size=8)
times = st.integers(0, 2**64 - 1) | st.integers(0, 200) | st.just(1_790_000_000_000_000_000)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(
    trace_ids, span_ids, span_ids | st.just(b""), names, st.integers(1, 5), times, times,
    st.none() | span_ids, st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_span_is_what_the_official_class_encodes(
    trace_id: bytes,
    span_id: bytes,
    parent: bytes,
    name: str,
    kind: int,
    start: int,
    end: int,
    linked: bytes | None,
    failed: bool,
    remote: bool,
) -> None:
    official = Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        kind=kind,  # type: ignore[arg-type]
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        flags=REMOTE if remote else LOCAL,
        status=Status(code=Status.STATUS_CODE_ERROR) if failed else None,
    )
    links = b""
    if linked is not None:
        official.links.add(trace_id=trace_id, span_id=linked, flags=REMOTE)
        links = Span(links=official.links).SerializeToString()
    ours = span_head(
        trace_id, span_id, parent, name, kind, start, end,
        links=links, failed=failed, remote_parent=remote,
    )  # fmt: skip
    assert ours == official.SerializeToString()


@given(trace_ids, span_ids, times, st.binary(max_size=300), names)
def test_a_log_record_is_what_the_official_class_encodes(
    trace_id: bytes, span_id: bytes, time: int, blob: bytes, shown: str
) -> None:
    for body, value in (
        (blob, AnyValue(bytes_value=blob)),
        (shown.encode(), AnyValue(string_value=shown)),
    ):
        official = LogRecord(
            time_unix_nano=time,
            observed_time_unix_nano=time,
            trace_id=trace_id,
            span_id=span_id,
            body=value,
        )
        before, after = log_record_parts(trace_id, span_id, time)
        binary = value.HasField("bytes_value")
        ours = before + log_body_head(len(body), binary=binary) + body + after
        assert ours == official.SerializeToString()


@pytest.mark.parametrize(
    ("trace_id", "span_id", "parent"),
    [(b"short", bytes(8), b""), (bytes(16), bytes(9), b""), (bytes(16), bytes(8), b"12")],
)
def test_an_id_of_another_length_is_refused(trace_id: bytes, span_id: bytes, parent: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        span_head(trace_id, span_id, parent, "run", 1, 1, 1)


def test_a_time_that_does_not_fit_is_refused() -> None:
    with pytest.raises(struct.error):
        span_head(bytes(16), bytes(8), b"", "run", 1, -1, 1)
    with pytest.raises(struct.error):
        log_record_parts(bytes(16), bytes(8), 1 << 64)


@given(
    st.sampled_from([SPAN, LOG]),
    st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=140),
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(-3, 70_000)
    | st.sampled_from([0, 127, 128, 16383, 16384, (1 << 56) - 1, 1 << 56, (1 << 63) - 1]),
    st.binary(min_size=32, max_size=32),
)
def test_attributes_are_what_the_official_class_encodes(
    tag: int, key: str, number: int, value: bytes
) -> None:
    for ours, official in (
        (integer(tag, key, number), KeyValue(key=key, value=AnyValue(int_value=number))),
        (digest(tag, key, value), KeyValue(key=key, value=AnyValue(string_value=value.hex()))),
    ):
        kind = Span if tag == SPAN else LogRecord
        assert ours == kind(attributes=[official]).SerializeToString()


def test_long_texts_of_other_people_are_not_remembered() -> None:
    before = otlp_bytes._remembered_text.cache_info().currsize
    for number in range(20):
        long = f"{number}" * (MAX_REMEMBERED + 1)
        assert constant_text(SPAN, "error.type", long) == text(SPAN, "error.type", long)
    assert otlp_bytes._remembered_text.cache_info().currsize == before
