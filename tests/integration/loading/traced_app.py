"""An app of a user of OpenTelemetry: a task that sends a task, and spans that go into files."""

import json
import os
import sys
from pathlib import Path

from celery import Celery, current_task
from opentelemetry import trace

app = Celery("traced_app", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.task_default_queue = "traced"
app.conf.broker_connection_retry_on_startup = True
FOLDER = Path(os.environ["SPANS"])

if os.environ["ORDER"] == "theirs first":
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument()
    from celerytrail.exporter.agent import instrument

    instrument(app)
elif os.environ["ORDER"] == "ours first":
    from celerytrail.exporter.agent import instrument

    instrument(app)
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument()


def write(kind, fields):
    line = json.dumps(fields).encode() + b"\n"
    with (FOLDER / f"{kind}.jsonl").open("ab", buffering=0) as out:
        out.write(line)


def keep_spans():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

    class Files(SpanExporter):
        def export(self, spans):
            for span in spans:
                write(
                    "spans",
                    {
                        "name": span.name,
                        "trace": f"{span.context.trace_id:032x}",
                        "span": f"{span.context.span_id:016x}",
                        "scope": span.instrumentation_scope.name,
                    },
                )
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Files()))
    trace.set_tracer_provider(provider)


@app.task
def outer():
    write("requests", {"traceparent": getattr(current_task.request, "traceparent", None)})
    inner.delay()


@app.task
def inner():
    write("requests", {"traceparent": getattr(current_task.request, "traceparent", None)})


if sys.argv[0].endswith("publish_traced.py") or "worker" in sys.argv:
    keep_spans()
