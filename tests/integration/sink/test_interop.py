"""Other people's senders and a Collector between: the rows are the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SCOPE_NAME, SPAN_COLUMNS
from tests.other_collector import other_collector
from tests.otlp_requests import logs, payload, resource_attributes, span, traces
from tests.sink_process import SinkProcess
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.sink_fixtures import SinkDatabase

pytest_plugins = ["tests.sink_fixtures"]

SPANS = ", ".join(column.name for column in SPAN_COLUMNS)
PAYLOADS = ", ".join(column.name for column in PAYLOAD_COLUMNS)


def sdk(sink: SinkProcess, compression: Compression) -> OTLPSpanExporter:
    return OTLPSpanExporter(
        endpoint=f"{sink.url}/v1/traces",
        headers={"Authorization": f"Bearer {sink.token}"},
        compression=compression,
    )


class Results(SpanExporter):
    """Passes spans on to the SDK's exporter and keeps what it said."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter
        self.said: list[SpanExportResult] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.said.append(self.exporter.export(spans))
        return self.said[-1]

    def shutdown(self) -> None:
        self.exporter.shutdown()


@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.NoCompression])
def test_the_sdks_own_exporter(
    sink: SinkProcess, sink_database: SinkDatabase, compression: Compression
) -> None:
    stream = uuid.uuid4()
    attributes: dict[str, Any] = resource_attributes(stream)
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    results = Results(sdk(sink, compression))
    provider.add_span_processor(SimpleSpanProcessor(results))
    earlier = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    with provider.get_tracer(SCOPE_NAME).start_as_current_span(
        "run shop.pay", kind=SpanKind.CONSUMER, links=[Link(earlier)]
    ) as current:
        current.set_attributes(
            {
                "celerytrail.seq": 1,
                "celerytrail.step": "succeeded",
                "messaging.message.id": "t",
                "celery.task": "shop.pay",
                "celery.retries": 0,
                "numbers": [1, 2],
            }
        )
        provider.get_tracer("my.web.app").start_span("GET /").end()
    provider.shutdown()
    assert results.said == [SpanExportResult.SUCCESS] * 2
    (row,) = sink_database.query(
        "SELECT stream_id, seq, step, task_name, span_name, span_kind, links, attributes"
        " FROM celerytrail.spans"
    )
    assert row[:6] == (stream, 1, "succeeded", "shop.pay", "run shop.pay", 5)
    assert row[6] == [{"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}]
    assert row[7] == {"celerytrail.version": "0.1.0", "numbers": [1, 2]}


@pytest.fixture
def collector(sink: SinkProcess, tmp_path: Path) -> Iterator[int]:
    """The port of a Collector of another make that sends to the sink."""
    with other_collector(sink.url, sink.token, tmp_path) as port:
        yield port


def workflow(stream: uuid.UUID) -> ExportTraceServiceRequest:
    steps = ("sent", "received", "started", "succeeded")
    spans = [
        span(4 * number + at + 1, step, task_id=f"task-{number}", extra={"ünï": 'q"\\', "f": 0.1})
        for number in range(25)
        for at, step in enumerate(steps)
    ]
    spans[0].links.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    return traces(spans, stream)


def test_a_collector_in_between_gives_the_same_rows(
    sink: SinkProcess,
    sink_database: SinkDatabase,
    collector: int,
    tmp_path: Path,
    make_sink: Callable[..., SinkProcess],
) -> None:
    stream = uuid.uuid4()
    spans = workflow(stream)
    items = logs(
        [payload(f'["{n}"]', seq=n, task_id=f"task-{n}") for n in range(1, 20)]
        + [payload(b"\x00\xffsealed", kind="body", seq=30)],
        stream,
    )
    through = SinkProcess(sink.dsn, tmp_path, sink.token, port=collector)
    assert through.post(items, "/v1/logs").status == 200
    assert through.post(spans, packed=True).status == 200
    wait_until(
        lambda: (
            sink_database.value("SELECT count(*) FROM celerytrail.spans") == 100
            and sink_database.value("SELECT count(*) FROM celerytrail.payloads") == 20
        ),
        "all of it arrived",
    )
    # The same again without the Collector: every row is known, byte for byte.
    direct = sink.post(spans).traces()
    assert not direct.HasField("partial_success"), direct
    assert not sink.post(items, "/v1/logs").logs().HasField("partial_success")
    label = "shop/orders/test"
    assert sink.metric("spans_known_total", deployment=label) == 100
    assert sink.metric("payloads_known_total", deployment=label) == 20
    assert sink.metric("equivocations_total", deployment=label) == 0
    assert sink.metric("spans_rejected_total", deployment=label) == 0
