"""The whole way with RabbitMQ as the broker, whose messages and headers have types of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu.connection import Connection

from celerytrail.exporter.spool.trail import TRAIL_HEADER, read_trail
from tests.acceptance.pipeline import Pipeline
from tests.acceptance.workflows import (
    check_workflows,
    publish_workflows,
    spans_of,
    wait_for_the_wire,
)
from tests.brokers import RabbitMQ, find_rabbitmq
from tests.waiting import wait_until
from tests.wire_tap import WireTap

STATES = "SELECT task_id, state, priority, attempts, runs FROM celerytrail_views.tasks"


@pytest.fixture
def on_rabbitmq(any_celery: Pipeline, tmp_path: Path) -> Iterator[Pipeline]:
    """The pipeline of either Celery with RabbitMQ as broker; results are in Valkey as before."""
    found = find_rabbitmq()
    if found is None:
        pytest.skip("no RabbitMQ server here")
    program, epmd = found
    with RabbitMQ(tmp_path / "rabbitmq", program=program, epmd=epmd) as server:
        any_celery.result_url, any_celery.broker_url = any_celery.broker_url, server.url
        yield any_celery
        any_celery.close()  # workers first, so that they end while they have a broker


@pytest.mark.slow
def test_each_workflow_and_each_end_is_recorded_on_rabbitmq(on_rabbitmq: Pipeline) -> None:
    pipeline = on_rabbitmq
    with WireTap(pipeline.endpoint) as tap:
        pipeline.endpoint = tap.url
        (urgent,) = (line["id"] for line in pipeline.run("publish_urgent.py", "7"))
        message = look_at_the_message(pipeline.broker_url, "celery")
        worker = pipeline.start_worker()
        flows = publish_workflows(pipeline)
        revoked = [line["id"] for line in pipeline.run("publish_revoked.py", "4")]
        expected = {urgent: "succeeded", **dict.fromkeys(revoked, "revoked")}
        expected.update(
            {task_id: "succeeded" for flow in flows.values() for task_id in flow["ids"]}
        )
        wait_until(
            lambda: {row["task_id"]: row["state"] for row in pipeline.rows(STATES)} == expected,
            "every task, and nothing else, is in the ledger with its end",
        )
        assert worker.stop() == 0
        wait_for_the_wire(pipeline, tap)

    check_workflows(spans_of(tap), flows)
    check_urgent([said for _, said in spans_of(tap)], urgent)
    check_trail(message, urgent, pipeline)

    backend = pipeline.results(list(expected))
    assert Counter(line["state"] for line in backend.values()) == {
        "SUCCESS": len(expected) - len(revoked),
        "REVOKED": len(revoked),
    }
    ran = Counter(line["id"] for line in pipeline.recorded())
    for row in pipeline.rows(STATES):
        task_id = row["task_id"]
        assert row["runs"] == ran[task_id], row
        assert row["attempts"] == (3 if task_id in flows["retries"]["ids"] else 1), row
        # Nobody asks for a priority, but Celery sends a retry with the one it was delivered with.
        asked = 7 if task_id == urgent else 0 if task_id in flows["retries"]["ids"] else None
        assert row["priority"] == asked, row
    assert pipeline.value("SELECT coalesce(sum(missing), 0) FROM celerytrail_views.streams") == 0


def look_at_the_message(url: str, queue: str) -> Any:
    """Take the only message of a queue from the broker and give it back, as a dying worker does."""
    connect: Any = Connection  # kombu has no types
    with connect(url) as connection, connection.channel() as channel:
        message = wait_until(lambda: channel.basic_get(queue), "the message is in its queue")
        channel.basic_reject(message.delivery_tag, requeue=True)
    return message


def check_trail(message: Any, task_id: str, pipeline: Pipeline) -> None:
    """Check that the header came through AMQP as the text it was, and names the trace and send."""
    header = message.headers[TRAIL_HEADER]
    assert type(header) is str
    trail = read_trail(header)
    assert trail is not None
    (sent,) = pipeline.rows(
        "SELECT trace_id, span_id, queue FROM celerytrail_views.spans WHERE step = 'sent' AND task_id = %s",
        task_id,
    )
    assert (trail.trace_id, trail.send_id, trail.queue) == tuple(sent.values())


def check_urgent(said: list[dict[str, Any]], task_id: str) -> None:
    """Check that each step tells the priority, and that the worker knows of a second delivery."""
    steps = {
        attributes["celerytrail.step"]: attributes
        for attributes in said
        if attributes.get("messaging.message.id") == task_id
    }
    assert {step: attributes.get("celery.priority") for step, attributes in steps.items()} == {
        "sent": 7,
        "received": 7,
        "started": 7,
        "succeeded": 7,
    }
    assert "celery.redelivered" not in steps["sent"]
    assert steps["received"]["celery.redelivered"] is True
