"""What crosses the wire between shipper and receiver: spans as OpenTelemetry means them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import SCOPE_NAME
from tests.acceptance.pipeline import Pipeline, until
from tests.wire_tap import WireTap

ENDED = """
    SELECT count(*) FROM celerytrail_views.tasks WHERE state = 'succeeded' AND task_id = ANY (%s)
"""


@pytest.mark.slow
def test_spans_of_each_workflow_make_one_readable_trace(any_celery: Pipeline) -> None:
    pipeline = any_celery
    with WireTap(pipeline.endpoint) as tap:
        pipeline.endpoint = tap.url
        worker = pipeline.start_worker()
        flows = {line["name"]: line for line in pipeline.run("publish_workflows.py")}
        everybody = [task_id for flow in flows.values() for task_id in flow["ids"]]
        until(lambda: pipeline.value(ENDED, everybody) == len(everybody), "all have succeeded")
        assert worker.stop() == 0
        stored = {
            (row["span_id"], row["step"])
            for row in pipeline.rows(
                "SELECT span_id, step FROM celerytrail_views.spans WHERE process_kind <> 'shipper'"
            )
        }
        until(
            lambda: (
                stored
                <= {(span.span_id.hex(), said["celerytrail.step"]) for span, said in spans_of(tap)}
            ),
            "what is stored was seen on the wire",
        )

    by_task: dict[str, list[tuple[Span, dict[str, Any]]]] = defaultdict(list)
    for span, said in spans_of(tap):
        if "messaging.message.id" in said:
            by_task[said["messaging.message.id"]].append((span, said))
    groups = {
        said["celery.group"]: span
        for span, said in spans_of(tap)
        if said["celerytrail.step"] == "group"
    }

    for name, flow in flows.items():
        traces = {span.trace_id for task_id in flow["ids"] for span, _ in by_task[task_id]}
        assert len(traces) == 1, name
        for task_id in flow["ids"]:
            attempts = 3 if name == "retries" else 1
            assert Counter(said["celerytrail.step"] for _, said in by_task[task_id]) == Counter(
                {
                    "sent": attempts,
                    "received": attempts,
                    "started": attempts,
                    "succeeded": 1,
                    "retried": attempts - 1,
                }
            ), name
            check_task(by_task[task_id])
    for name in ("group", "chord"):
        members = flows[name]["ids"][: 3 if name == "chord" else 4]
        for task_id in members:
            (send,) = [
                span for span, said in by_task[task_id] if said["celerytrail.step"] == "sent"
            ]
            assert send.parent_span_id == groups[flows[name]["group"]].span_id


def check_task(steps: list[tuple[Span, dict[str, Any]]]) -> None:
    """Check names, kinds, times and parents of the spans of one task."""
    sends = {span.span_id: span for span, said in steps if said["celerytrail.step"] == "sent"}
    for span, said in steps:
        step = said["celerytrail.step"]
        if step == "sent":
            assert (span.kind, span.name) == (
                Span.SPAN_KIND_PRODUCER,
                f"send {said['messaging.destination.name']}",
            )
            continue
        assert span.parent_span_id in sends, step
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        if step == "started":
            assert span.name.startswith("wait ")
            width = (span.end_time_unix_nano - span.start_time_unix_nano) // 1000
            assert width == said["celery.queue_wait_us"] > 0
            due = sends[span.parent_span_id].start_time_unix_nano
            assert span.start_time_unix_nano >= due
        elif step in ("succeeded", "retried"):
            assert (span.kind, span.name) == (
                Span.SPAN_KIND_CONSUMER,
                f"run {said['celery.task']}",
            )


def spans_of(tap: WireTap) -> Iterator[tuple[Span, dict[str, Any]]]:
    """Yield each span on the wire with its attributes as plain values."""
    for request in list(tap.traces):
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                assert scope.scope.name == SCOPE_NAME
                for span in scope.spans:
                    yield (
                        span,
                        {
                            item.key: getattr(
                                item.value, item.value.WhichOneof("value") or "string_value"
                            )
                            for item in span.attributes
                        },
                    )
