"""The workflows of ``publish_workflows.py``: published, waited for, and checked as traces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import SCOPE_NAME
from tests.acceptance.pipeline import Pipeline
from tests.waiting import wait_until
from tests.wire_tap import WireTap

ENDED = """
    SELECT count(*) FROM celerytrail_views.tasks WHERE state = 'succeeded' AND task_id = ANY (%s)
"""
SENDS = """
    SELECT encode(trace_id, 'hex') AS trace_id, encode(span_id, 'hex') AS span_id, links
    FROM celerytrail.spans WHERE step = 'sent' AND task_id = ANY (%s)
"""
MEMBERS = {"group": 4, "chord": 3}


def publish_workflows(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """Publish one workflow of each shape, by name, and wait until all their tasks have succeeded."""
    flows = {line["name"]: line for line in pipeline.run("publish_workflows.py")}
    everybody = [task_id for flow in flows.values() for task_id in flow["ids"]]
    wait_until(lambda: pipeline.value(ENDED, everybody) == len(everybody), "all have succeeded")
    return flows


def wait_for_the_wire(pipeline: Pipeline, tap: WireTap) -> None:
    """Wait until the tap has seen all that is stored, but what the shipper says of itself."""
    stored = {
        (row["span_id"], row["step"])
        for row in pipeline.rows(
            "SELECT span_id, step FROM celerytrail_views.spans WHERE process_kind <> 'shipper'"
        )
    }
    wait_until(
        lambda: (
            stored
            <= {(span.span_id.hex(), said["celerytrail.step"]) for span, said in spans_of(tap)}
        ),
        "what is stored was seen on the wire",
    )


def check_workflows(
    spans: Iterable[tuple[Span, dict[str, Any]]], flows: dict[str, dict[str, Any]]
) -> None:
    """Check that each workflow is one trace, with each step of each task once per attempt."""
    by_task: dict[str, list[tuple[Span, dict[str, Any]]]] = defaultdict(list)
    groups: dict[str, Span] = {}
    for span, said in spans:
        if "messaging.message.id" in said:
            by_task[said["messaging.message.id"]].append((span, said))
        elif said["celerytrail.step"] == "group":
            groups[said["celery.group"]] = span

    assert flows.keys() == {"single", "retries", "group", "chord", "chain"}
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
    for name, count in MEMBERS.items():
        for task_id in flows[name]["ids"][:count]:
            (send,) = [
                span for span, said in by_task[task_id] if said["celerytrail.step"] == "sent"
            ]
            assert send.parent_span_id == groups[flows[name]["group"]].span_id


def check_links(pipeline: Pipeline, flow: dict[str, Any]) -> None:
    """Check that the ledger has, with the body of a chord, a link to each row of a header's send."""
    *headers, body = flow["ids"]
    (links,) = (row["links"] for row in pipeline.rows(SENDS, [body]))
    sends = {(row["trace_id"], row["span_id"]) for row in pipeline.rows(SENDS, headers)}
    assert len(links) == len(sends) == len(headers)
    assert {(link["trace_id"], link["span_id"]) for link in links} == sends
    assert {link["attributes"]["celery.link"] for link in links} == {"chord header"}


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
