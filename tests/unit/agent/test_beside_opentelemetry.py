"""Beside OpenTelemetry's own instrumentation of Celery, in both orders: its spans and ours in one
trace, nothing attached to a thread, nothing global touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import Span, format_span_id, format_trace_id

from tests.unit.agent.conftest import Recorded
from tests.unit.agent.test_publishing import message_headers, trail_of

SAMPLED = 1
"""The bit of the flags; newer SDKs set another one beside it, for random trace ids."""

Start = Callable[..., Recorded]


class Theirs:
    """The instrumentation of OpenTelemetry with a provider and an exporter of its own."""

    def __init__(self, sampler: Sampler) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def instrument(self) -> None:
        CeleryInstrumentor().instrument(tracer_provider=self.provider)

    def request(self) -> Any:
        return self.provider.get_tracer("request").start_as_current_span("request")

    def spans(self) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name != "request"]


@pytest.fixture(params=["theirs first", "ours first"])
def beside(request: pytest.FixtureRequest, record_with: Start) -> Iterator[Callable[..., Any]]:
    def start(sampler: Sampler = ALWAYS_ON) -> tuple[Theirs, Recorded, bool]:
        theirs = Theirs(sampler)
        first = request.param == "theirs first"
        if first:
            theirs.instrument()
        recorded = record_with()
        if not first:
            theirs.instrument()
        return theirs, recorded, first

    yield start
    CeleryInstrumentor().uninstrument()


def ids_of(span: Span) -> tuple[str, str]:
    context = span.get_span_context()
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def test_a_publish_is_one_span_of_each_in_one_trace(
    beside: Callable[..., Any], app: Celery
) -> None:
    theirs, recorded, theirs_first = beside()
    with theirs.request() as request:
        app.tasks["add"].delay(1, 2)
        assert trace.get_current_span() is request
    assert trace.get_current_span() is trace.INVALID_SPAN
    trace_id, request_id = ids_of(request)
    (span,) = theirs.spans()
    assert span.context is not None
    assert format_trace_id(span.context.trace_id) == trace_id
    (sent,) = recorded.of("sent")
    trail = trail_of(sent)
    assert trail["trace_id"] == trace_id
    # Who comes second sees the other's: theirs is current by then, and on the message.
    theirs_id = format_span_id(span.context.span_id)
    assert trail["parent_span_id"] == (theirs_id if theirs_first else request_id)
    header, flags = message_headers(app)["traceparent"].rsplit("-", 1)
    assert header == f"00-{trace_id}-{theirs_id}"
    assert int(flags, 16) & SAMPLED


def test_a_trace_that_is_not_sampled_is_recorded_and_stays_so(
    beside: Callable[..., Any], app: Celery
) -> None:
    theirs, recorded, _ = beside(ALWAYS_OFF)
    with theirs.request() as request:
        app.tasks["add"].delay(1, 2)
    assert theirs.spans() == []
    (sent,) = recorded.of("sent")
    assert trail_of(sent)["trace_id"] == ids_of(request)[0]
    assert not int(message_headers(app)["traceparent"][-2:], 16) & SAMPLED


@pytest.mark.parametrize("flags", ["00", "01"])
def test_the_flags_of_a_message_are_left_alone(recorded: Recorded, app: Celery, flags: str) -> None:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-{flags}"
    app.tasks["add"].apply_async((1, 2), headers={"traceparent": parent})
    assert message_headers(app)["traceparent"] == parent
    (sent,) = recorded.of("sent")
    assert trail_of(sent)["trace_id"] == "ab" * 16


def test_without_them_no_traceparent_is_put_on_a_message(recorded: Recorded, app: Celery) -> None:
    # One that their spans would hang under, though no span of theirs has that id.
    with Theirs(ALWAYS_ON).request():
        app.tasks["add"].delay(1, 2)
    assert "traceparent" not in message_headers(app)


def test_a_broker_that_is_down_leaves_the_current_span(recorded: Recorded) -> None:
    down = Celery("down", broker="redis://127.0.0.1:1/0", set_as_current=False)
    with Theirs(ALWAYS_ON).request() as request:
        with pytest.raises(OperationalError):
            down.send_task("add", (1, 2), retry=False)
        assert trace.get_current_span() is request
    assert trace.get_current_span() is trace.INVALID_SPAN
    (failed,) = recorded.of("send_failed")
    assert (trail_of(failed)["trace_id"], trail_of(failed)["parent_span_id"]) == ids_of(request)


@pytest.mark.parametrize(
    "environ",
    [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_SAMPLER": "always_off"}],
    ids=lambda environ: ",".join(environ) or "usual",
)
def test_the_global_provider_is_nobodys_but_the_users(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    code = """
from opentelemetry import trace
before = trace.get_tracer_provider()
import celerytrail.exporter.auto
from celery import Celery
app = Celery("x", broker="memory://")
app.send_task("t")
assert trace.get_tracer_provider() is before
assert trace._TRACER_PROVIDER is None
assert not trace._TRACER_PROVIDER_SET_ONCE._done
from opentelemetry.sdk.trace import TracerProvider
mine = TracerProvider()
trace.set_tracer_provider(mine)
with trace.get_tracer("x").start_as_current_span("request"):
    app.send_task("t")
assert trace.get_tracer_provider() is mine
from celerytrail.exporter.agent import uninstrument
uninstrument()
assert trace.get_tracer_provider() is mine
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))},
            "CELERYTRAIL_SPOOL_DIR": str(tmp_path / "spool"),
            "CELERYTRAIL_SHIPPER": "off",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    from tests.spool_segments import read_records

    steps = [record.step.name for record in read_records(tmp_path / "spool")]
    assert steps.count("sent") == 2
