"""A task that does nothing, in the variant that the environment names."""

from __future__ import annotations

import os
import time

from celery import Celery
from celery.signals import worker_process_init

app = Celery("measured", broker=os.environ["BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=16,
    task_send_sent_event=os.environ["BENCH_VARIANT"] == "events",
)


def instrument_contrib(**_) -> None:
    """Do as the documentation of opentelemetry-instrumentation-celery says."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(os.environ["BENCH_RECEIVER"] + "/v1/traces"))
    )
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()


if os.environ["BENCH_VARIANT"] == "contrib":
    worker_process_init.connect(instrument_contrib, weak=False)


@app.task(name="measured.nothing")
def nothing(order, customer=None):
    """Do nothing."""


@app.task(name="measured.mark")
def mark(path):
    """Write down when this ran: the queue is first in, first out, and one process works on it."""
    with open(path, "a") as times:
        times.write(f"{time.monotonic_ns()}\n")
