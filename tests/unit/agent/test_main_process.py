"""What the worker's main process records, with the signals that Celery sends there."""

from __future__ import annotations

import signal
from typing import Any

from celery import Celery, signals
from celery.app.task import Context
from celery.worker.request import Request
from kombu import Connection, Consumer, Exchange, Producer, Queue

from celerytrail.exporter.spool.record import HEADERS, REQUEST
from celerytrail.exporter.spool.trail import TRAIL_HEADER
from tests.unit.agent.conftest import Recorded


def received_request(app: Celery, *, with_trail: bool = True) -> Any:
    """Publish a task and take it from the queue as a worker does."""
    app.tasks["add"].delay(1, 2)
    found = []
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("unit", no_ack=True)
        if not with_trail:
            del message.headers[TRAIL_HEADER]
        message.accept = {"application/json"}
        found.append(Request(message, app=app, hostname="celery@h", task=app.tasks["add"]))
    return found[0]


def test_a_reception_is_recorded(recorded: Recorded, app: Celery) -> None:
    request = received_request(app)
    signals.task_received.send(sender=None, request=request)
    (received,) = recorded.of("received")
    (sent,) = recorded.of("sent")
    assert received.fields["trail"] == sent.fields["trail"]
    assert dict(zip(HEADERS, received.fields["headers"], strict=True))["id"] == request.id
    assert received.fields["body"] is None


def test_without_a_trail_the_body_is_kept_from_the_message(recorded: Recorded, app: Celery) -> None:
    request = received_request(app, with_trail=False)
    signals.task_received.send(sender=None, request=request)
    (received,), (sent,) = recorded.of("received"), recorded.of("sent")
    assert received.fields["trail"] is None
    assert received.fields["body"] == sent.fields["body"]
    assert received.fields["body_size"] == len(sent.fields["body"])


def test_a_failure_reported_twice_is_recorded_once(recorded: Recorded, app: Celery) -> None:
    request = received_request(app)
    signals.task_received.send(sender=None, request=request)
    for _ in range(2):
        signals.task_failure.send(
            sender=app.tasks["add"],
            task_id=request.id,
            exception=TimeoutError("3 s"),
            args=(),
            kwargs={},
            traceback=None,
            einfo=None,
        )
    (failed,) = recorded.of("failed")
    assert failed.fields["run_id"] is None
    assert failed.fields["exception_class"] == "TimeoutError"
    assert dict(zip(REQUEST, failed.fields["request"], strict=False))["id"] == request.id
    assert failed.fields["trail"] == recorded.of("sent")[0].fields["trail"]


def test_a_redelivered_message_may_fail_again(recorded: Recorded, app: Celery) -> None:
    for _ in range(2):
        request = received_request(app)
        signals.task_received.send(sender=None, request=request)
        signals.task_failure.send(
            sender=app.tasks["add"], task_id=request.id, exception=TimeoutError(), einfo=None
        )
    assert len(recorded.of("failed")) == 2


def test_a_failure_of_an_unknown_request_is_recorded(recorded: Recorded, app: Celery) -> None:
    signals.task_failure.send(
        sender=app.tasks["add"], task_id="gone", exception=TimeoutError(), einfo=None
    )
    (failed,) = recorded.of("failed")
    assert dict(zip(REQUEST, failed.fields["request"], strict=False))["id"] == "gone"
    assert dict(zip(REQUEST, failed.fields["request"], strict=False))["task"] == "add"


def test_revoked_and_expired(recorded: Recorded, app: Celery) -> None:
    request = Context({"id": "t", "task": "add", "retries": 0, "delivery_info": {}})
    send = signals.task_revoked.send
    send(sender=None, request=request, terminated=True, signum=signal.SIGTERM, expired=False)
    send(sender=None, request=request, terminated=False, signum=None, expired=True)
    revoked, expired = recorded.all()[1:]
    assert revoked.step.name == "revoked"
    assert revoked.fields["terminated"] is True
    assert revoked.fields["signum"] == 15
    assert expired.step.name == "expired"


def test_a_message_for_an_unknown_task(recorded: Recorded, app: Celery) -> None:
    queue = Queue("q", Exchange(""), "q")
    with Connection("memory://") as connection:
        Producer(connection).publish(
            {}, routing_key="q", headers={"id": "t", "task": "no"}, declare=[queue]
        )
        with Consumer(connection, [queue], accept=["json"]):
            message = queue(connection.default_channel).get(accept=["json"])
    error = KeyError("no")
    signals.task_unknown.send(sender=None, name="no", id="t", message=message, exc=error)
    signals.task_rejected.send(sender=None, message=message, exc=None)
    unknown, malformed = recorded.all()[1:]
    assert unknown.fields["headers"][:2] == ("t", "no")
    assert unknown.fields["exception"] == "'no'"
    assert malformed.fields["exception"]


def test_a_retry_by_the_main_process(recorded: Recorded, app: Celery) -> None:
    request = Context({"id": "t", "task": "add", "retries": 1, "delivery_info": {}})
    signals.task_retry.send(sender=app.tasks["add"], request=request, einfo=None)
    (retried,) = recorded.of("retried")
    assert retried.fields["run_id"] is None
