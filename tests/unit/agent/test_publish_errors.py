"""Celery 5.7 publishes a refused callback again: only the last error of a publish is its end."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, signals
from kombu.messaging import Producer

from tests.unit.agent.conftest import Recorded


def announced(app: Celery, body: Any) -> dict[str, Any]:
    message = app.amqp.as_task_v2("t", "add", (1, 2), {})
    signals.before_task_publish.send(
        sender="add",
        body=body,
        exchange="",
        routing_key="unit",
        declare=None,
        headers=message.headers,
        properties=message.properties,
        retry_policy={},
    )
    return dict(message.headers)


def retry_over_time(publish: Any) -> None:
    """Stand on the call stack as the function of that name in kombu does."""
    publish()


def send_task_message(publish: Any) -> None:
    """Stand below it, as the function of that name in Celery does."""
    retry_over_time(publish)


def refused(app: Celery, body: Any) -> None:
    with app.connection_for_write() as connection:
        Producer(connection).publish(body, serializer="no such serializer", routing_key="unit")


def test_an_error_that_is_tried_again_is_not_the_end(recorded: Recorded, app: Celery) -> None:
    body = ((1, 2), {}, {})
    headers = announced(app, body)
    with pytest.raises(Exception, match="no such serializer"):
        send_task_message(lambda: refused(app, body))
    assert recorded.steps() == []
    signals.after_task_publish.send(sender="add", body=body, headers=headers, exchange="")
    assert recorded.steps() == ["sent"]


def test_one_that_was_given_up_is_recorded_at_the_next_publish(
    recorded: Recorded, app: Celery
) -> None:
    body = ((1, 2), {}, {})
    announced(app, body)
    with pytest.raises(Exception, match="no such serializer"):
        send_task_message(lambda: refused(app, body))
    app.tasks["add"].delay(3, 4)
    assert recorded.steps() == ["send_failed", "sent"]


def test_an_error_of_somebody_elses_message_is_not_ours(recorded: Recorded, app: Celery) -> None:
    with pytest.raises(Exception, match="no such serializer"):
        refused(app, {"not": "announced"})
    assert recorded.steps() == []


def test_a_failed_publish_of_an_ended_process_is_recorded(recorded: Recorded, app: Celery) -> None:
    from celerytrail.exporter.agent.install import installed

    body = ((1, 2), {}, {})
    announced(app, body)
    with pytest.raises(Exception, match="no such serializer"):
        send_task_message(lambda: refused(app, body))
    there = installed()
    assert there is not None
    there.close()
    assert recorded.steps() == ["send_failed"]
