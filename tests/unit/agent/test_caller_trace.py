"""Which trace a publish joins, with OpenTelemetry's own reader as the oracle for the header."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.context.context import _RuntimeContext
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from celerytrail.exporter.agent.caller_trace import caller_trace, in_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def by_opentelemetry(header: str) -> tuple[str, str] | None:
    context = TraceContextTextMapPropagator().extract({"traceparent": header}, Context())
    found = trace.get_current_span(context).get_span_context()
    return (f"{found.trace_id:032x}", f"{found.span_id:016x}") if found.is_valid else None


def digits(length: int) -> st.SearchStrategy[str]:
    return st.sampled_from(["0" * length, "f" * length]) | st.text(
        "0123456789abcdefA", min_size=length - (length == 16), max_size=length
    )


headers = st.builds(
    "{}{}-{}-{}-{}{}".format,
    st.sampled_from(["", "", " \t", "x"]),
    st.sampled_from(["00", "01", "fe", "ff", "0"]) | digits(2),
    digits(32) | st.just(TRACE),
    digits(16) | st.just(SPAN),
    digits(2),
    st.sampled_from(["", "", " ", "-", "-what", "-what ", "x", "-" + "y" * 500]),
)


@given(headers | st.text(max_size=60).filter(lambda text: "\n" not in text))
@example(f"00-{TRACE}-{SPAN}-00")
@example(f"00-{TRACE}-{SPAN}-01")
@example(f"00-{TRACE}-{SPAN}-01-more")
@example(f"cc-{TRACE}-{SPAN}-01-more")
@example(f"ff-{TRACE}-{SPAN}-01")
def test_a_header_is_read_as_opentelemetry_reads_it(header: str) -> None:
    logging.disable(logging.WARNING)
    try:
        assert caller_trace({"traceparent": header}) == by_opentelemetry(header)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("header", [None, 7, b"00", ["00"], "00-no-trace-01"])
def test_a_header_that_is_none_leaves_the_current_span(header: Any) -> None:
    given = {} if header is None else {"traceparent": header}
    assert caller_trace(given) is None
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        context = span.get_span_context()
        expected = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        assert caller_trace(given) == expected
        assert trace.get_current_span() is span
    assert caller_trace(given) is None


def test_a_span_that_is_not_sampled_counts() -> None:
    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test")
    with tracer.start_as_current_span("request") as span:
        assert not span.is_recording()
        context = span.get_span_context()
        expected = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        assert caller_trace({}) == expected


def test_a_broken_tracer_costs_no_record() -> None:
    class Broken(trace.NonRecordingSpan):
        def get_span_context(self) -> trace.SpanContext:
            raise RuntimeError

    with trace.use_span(Broken(trace.INVALID_SPAN_CONTEXT), record_exception=False):
        assert caller_trace({}) is None


class OwnContext(_RuntimeContext):
    """A runtime context that somebody else wrote: it keeps the current context where it likes."""

    def __init__(self) -> None:
        self.current = Context()

    def attach(self, context: Context) -> Any:
        self.current = context

    def get_current(self) -> Context:
        return self.current

    def detach(self, token: Any) -> None:
        self.current = Context()


class BrokenContext(OwnContext):
    """One that does not work."""

    def get_current(self) -> Context:
        raise RuntimeError


def test_whatever_keeps_the_current_context_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_context()
    token = otel_context.attach(otel_context.set_value("key", "value"))
    assert in_context()
    otel_context.detach(token)
    assert not in_context()
    own = OwnContext()
    monkeypatch.setattr(otel_context, "_RUNTIME_CONTEXT", own)
    assert not in_context()
    own.attach(Context({"key": "value"}))
    assert in_context()
    monkeypatch.setattr(otel_context, "_RUNTIME_CONTEXT", BrokenContext())
    assert not in_context()
