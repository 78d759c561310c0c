"""A Collector between shipper and sink: the rows are the same as without it."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, SPAN_COLUMNS
from tests.acceptance.pipeline import Pipeline
from tests.acceptance.test_real_collector import UNFINISHED
from tests.integration.shipper.receiver import attributes, logs_in
from tests.other_collector import other_collector
from tests.sdk_oracle import as_the_sdk_encodes, normal
from tests.waiting import wait_until
from tests.wire_tap import WireTap

ENDED = """
    SELECT count(*) FROM celerytrail_views.tasks
    WHERE state IN ('succeeded', 'failed', 'revoked') AND task_id = ANY (%s)
"""
SPANS = f"""
    SELECT {", ".join(f"{column.name}::text" for column in SPAN_COLUMNS)}
    FROM celerytrail.spans WHERE process_kind <> 'shipper' ORDER BY stream_id, seq
"""
STORED_PAYLOADS = "SELECT count(*) FROM celerytrail.payloads"
PAYLOADS = f"""
    SELECT {", ".join(f"{column.name}::text" for column in PAYLOAD_COLUMNS)}
    FROM celerytrail.payloads ORDER BY stream_id, seq, kind
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_thousand_tasks_through_a_collector_make_the_rows_that_they_make_without(
    pipeline: Pipeline,
) -> None:
    """Given what the shipper sent to the Collector, sent again straight to a second, empty ledger."""
    sink = pipeline.endpoint
    with (
        other_collector(sink, pipeline.token, pipeline.directory) as port,
        WireTap(f"http://127.0.0.1:{port}") as tap,
    ):
        pipeline.endpoint = tap.url
        worker = pipeline.start_worker()
        flows = pipeline.run("publish_workflows.py")
        thousand = pipeline.run("publish_thousand.py")
        everybody = [task_id for flow in flows for task_id in flow["ids"]]
        everybody += [task["id"] for task in thousand]
        wait_until(lambda: pipeline.value(ENDED, everybody) == len(everybody), "all have ended")
        assert worker.stop() == 0
        wait_until(lambda: not pipeline.rows(UNFINISHED), "every stream has its end, and all of it")
        sent_spans, sent_payloads = list(tap.traces), list(tap.logs)
        # Payloads go their own way through a Collector.
        wait_until(
            lambda: pipeline.value(STORED_PAYLOADS) >= len(payloads_in(sent_payloads)),
            "every payload is stored",
        )
    through, with_payloads = pipeline.rows(SPANS), pipeline.rows(PAYLOADS)

    with pipeline.second_ledger() as (endpoint, second):
        for path, requests in (("/v1/logs", sent_payloads), ("/v1/traces", sent_spans)):
            for request in requests:
                assert post(endpoint + path, pipeline.token, request.SerializeToString()) == 200
        assert second.rows(SPANS) == through
        assert second.rows(PAYLOADS) == with_payloads
    for request in sent_spans:
        for ours in normal(request).resource_spans:
            assert ours == as_the_sdk_encodes(ours)
    for kinds in (("group",), ("header", "body"), ("chain",)):
        members = {task["id"] for task in thousand if task["kind"] in kinds}
        traces = {row["trace_id"] for row in through if row["task_id"] in members}
        assert len(traces) == 1, kinds
    assert len(through) > 4 * len(everybody)


def payloads_in(requests: Iterable[ExportLogsServiceRequest]) -> set[tuple[str, int, str]]:
    """Return which payloads were sent, once each."""
    return {
        (stream, said["celerytrail.seq"], said["celerytrail.payload.kind"])
        for request in requests
        for stream, log in logs_in(request)
        for said in [attributes(log)]
    }


def post(url: str, token: str, body: bytes) -> int:
    """Send one request and return the status of its answer."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
    try:
        connection.request(
            "POST",
            target.path,
            body,
            {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {token}"},
        )
        return connection.getresponse().status
    finally:
        connection.close()
