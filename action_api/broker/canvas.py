"""Sends a canvas through Celery itself, and knows which of its messages went out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from amqp.exceptions import MessageNacked  # type: ignore[import-untyped]
from celery import Celery, chain, chord, group
from celery.canvas import Signature

from celerytrail.action_api.broker.connections import FAILURES, failure
from celerytrail.action_api.broker.deadline import DeadlineExceeded, within
from celerytrail.action_api.broker.errors import BrokerDown


class CanvasBrokeOff(Exception):
    """Not everything was sent. ``sent`` are the ids that were, ``in_flight`` the one that may be."""

    def __init__(self, message: str, sent: list[str], in_flight: str | None) -> None:
        super().__init__(message)
        self.sent = sent
        self.in_flight = in_flight


class _Sending:
    """Watches the messages that an application sends; after ``stop`` it lets none go."""

    def __init__(self, app: Celery, may: Callable[[], bool]) -> None:
        self.sent: list[str] = []
        self.in_flight: str | None = None
        self._may = may
        self._lock = threading.Lock()
        self._stopped = False
        self._send = app.amqp.send_task_message
        app.amqp.__dict__["send_task_message"] = self

    def __call__(self, producer: Any, name: str, message: Any, **options: Any) -> Any:
        with self._lock:
            if self._stopped or not self._may():
                raise CanvasBrokeOff("another process has taken this action over", [], None)
            self.in_flight = str(message.headers.get("id"))
        returned: list[Any] = []
        events = getattr(producer.channel, "events", None)
        if events is not None:
            # RabbitMQ takes what no queue wants and drops it, unless it is told not to.
            options["mandatory"] = True
            events["basic_return"].add(lambda *what: returned.append(what))
        try:
            made = self._send(producer, name, message, **options)
        except MessageNacked as exc:
            self._was_not_sent(not options.get("exchange"))
            raise CanvasBrokeOff("a queue refused a task", [], None) from exc
        if returned:
            self._was_not_sent(True)
            raise CanvasBrokeOff("a task has no queue to go to", [], None)
        with self._lock:
            self.sent.append(str(self.in_flight))
            self.in_flight = None
        return made

    def _was_not_sent(self, certainly: bool) -> None:
        with self._lock:
            if certainly:
                self.in_flight = None

    def stop(self) -> tuple[list[str], str | None]:
        with self._lock:
            self._stopped = True
            return list(self.sent), self.in_flight


def send_canvas(
    app: Celery,
    headers: list[list[dict[str, Any]]],
    body: Mapping[str, Any] | None,
    group_id: str,
    body_task_id: str | None,
    *,
    may: Callable[[], bool],
    check_seconds: float,
    total_seconds: float,
) -> list[str]:
    """Send a group under a given id, with the body of its chord, and return the ids of what was sent.

    ``headers`` are lists of signatures, each a chain of at least one, with their task ids. ``app``
    is used up: it is this canvas' own. Raises BrokerDown when broker or result backend do not
    answer, before anything was sent; CanvasBrokeOff afterwards.
    """
    if body is not None:
        _ask(lambda: app.backend.get_task_meta(group_id), "the result backend", check_seconds)
    sending = _Sending(app, may)

    def send() -> None:
        _wait_for_no_result(app.backend)  # Celery has a backend for each thread
        members = [_member(links, app) for links in headers]
        tasks = group(members, app=app, task_id=group_id)
        if body is None:
            tasks.apply_async(add_to_parent=False)
            return
        whole = chord([], Signature.from_dict(dict(body), app=app), app=app)
        whole.run(tasks, whole.body, (), app=app, task_id=body_task_id)

    try:
        within(total_seconds, send)
    except CanvasBrokeOff as exc:
        raise CanvasBrokeOff(str(exc), *sending.stop()) from exc
    except DeadlineExceeded as exc:
        raise CanvasBrokeOff(f"not done within {total_seconds:g} s", *sending.stop()) from exc
    except FAILURES as exc:
        raise CanvasBrokeOff(
            f"broker or result backend failed: {failure(exc)}", *sending.stop()
        ) from None
    except Exception as exc:
        # Celery wraps what its backends raise in errors of its own.
        raise CanvasBrokeOff(f"Celery failed: {type(exc).__name__}", *sending.stop()) from exc
    return sending.sent


def _wait_for_no_result(backend: Any) -> None:
    """Keep a backend from listening for the end of each task, which it does as soon as one is sent.

    Nobody waits here, and what listens is closed by whichever thread the results are collected in.
    """
    backend.on_task_call = lambda *_, **__: None
    backend.add_pending_result = lambda result, *_, **__: result
    backend.remove_pending_result = lambda result: result


def _member(links: list[dict[str, Any]], app: Celery) -> Any:
    made = [Signature.from_dict(dict(link), app=app) for link in links]
    return made[0] if len(made) == 1 else chain(*made, app=app)


def _ask(question: Callable[[], Any], whom: str, seconds: float) -> None:
    try:
        within(seconds, question)
    except DeadlineExceeded as exc:
        raise BrokerDown(f"{whom} did not answer within {seconds:g} seconds") from exc
    except Exception as exc:  # noqa: BLE001 (backends raise what their clients raise)
        raise BrokerDown(f"{whom} failed: {failure(exc)}") from None
