"""What the worker's main process knows of tasks: their reception, and the ends it reports itself."""

from __future__ import annotations

from time import time_ns
from typing import Any
from weakref import WeakValueDictionary

from celerytrail.exporter.agent.exceptions import class_name, message
from celerytrail.exporter.agent.pool_children import PoolChildren
from celerytrail.exporter.agent.recorder import Recorder
from celerytrail.exporter.agent.unrecorded import is_trail, trace_of_unrecorded
from celerytrail.exporter.agent.values import (
    body_bytes,
    header_values,
    request_values,
    request_values_of_message,
)
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.plain import text_of
from celerytrail.exporter.spool.record import REQUEST
from celerytrail.exporter.spool.trail import TRAIL_HEADER

_RECEIVED = STEP_BY_NAME["received"].code
_FAILED = STEP_BY_NAME["failed"].code
_RETRIED = STEP_BY_NAME["retried"].code
_REPORTED = "_celerytrail_reported"
_TASK = REQUEST.index("task")
_CHILD_GONE = (".WorkerLostError", ".TimeLimitExceeded")
_NO_CHILD = (None, None, None, None)


class MainProcessHandlers:
    """Handlers of task_received, task_revoked, task_unknown and task_rejected."""

    def __init__(self, recorder: Recorder, children: PoolChildren) -> None:
        self._recorder = recorder
        self._children = children
        self._write = recorder.write
        self._caught = recorder.guard.caught
        self._max_body = recorder.config.max_body_bytes
        self._rules = recorder.task_rules
        # Celery's own table has lost the request by the time its end is reported.
        self._requests: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def task_received(self, request: Any = None, **_: Any) -> None:
        """Record that a worker took the message from the queue; a prefetched one may go back."""
        try:
            now = time_ns()
            self._requests[request.id] = request
            headers = request.request_dict
            delivery = request.delivery_info
            trail = _trail_of(headers)
            recorded = is_trail(trail)
            body, size = None, None
            if not recorded:  # its publisher has no agent: what it sent is known from here only
                body, size = body_bytes(_undecoded(request), self._max_body)
            self._write(
                _RECEIVED,
                now,
                (
                    trail,
                    header_values(headers),
                    delivery.get("exchange"),
                    delivery.get("routing_key"),
                    delivery.get("priority"),
                    delivery.get("redelivered"),
                    request.content_type,
                    request.content_encoding,
                    body,
                    size,
                    self._rules.of_name(headers.get("task")),
                ),
            )
            shipper = self._recorder.shipper
            if now >= shipper.next_check:
                shipper.ensure(now)
        except Exception as exc:  # noqa: BLE001 (never into the worker)
            self._caught("task_received", exc)

    def task_revoked(
        self,
        request: Any = None,
        terminated: Any = None,
        signum: Any = None,
        expired: Any = None,
        **_: Any,
    ) -> None:
        """Record a task that was revoked, or had expired, before or while it ran."""
        number = int(signum) if isinstance(signum, int) else signum and text_of(signum)
        self._recorder.note(
            "expired" if expired else "revoked",
            _trail_of(request.__dict__),
            request_values(request),
            None,
            bool(terminated),
            number,
        )

    def task_unknown(self, message: Any = None, exc: Any = None, **_: Any) -> None:
        """Record a message for a task that this worker does not have."""
        headers = message.headers or {}
        self._recorder.note("unknown", _trail_of(headers), header_values(headers), text_of(exc))

    def task_rejected(self, exc: Any = None, **_: Any) -> None:
        """Record a message that is no task at all."""
        reason = "no known task message format"
        self._recorder.note("malformed", f"{class_name(exc)}: {message(exc)}" if exc else reason)

    def failed(self, sender: Any, task_id: Any, failure: tuple[Any, Any, Any]) -> None:
        """Record a failure that the main process reports: the child was lost, or out of time.

        Celery 5.7 reports a time limit twice; the second report of a reception is dropped. Of a
        child that is gone the record tells pid, exit code, signal and memory, where they are known.
        """
        request = self._requests.get(task_id)
        if request is not None:
            if getattr(request, _REPORTED, None) == failure[0]:
                return
            setattr(request, _REPORTED, failure[0])
            headers = request.request_dict
            trail = _trail_of(headers)
            values = request_values_of_message(headers, request.delivery_info)
        else:
            context = sender.request_stack.top
            known = {} if context is None else context.__dict__
            if known.get("id") != task_id:
                known = {"id": task_id, "task": sender.name}
            trail = _trail_of(known)
            values = request_values_of_message(known, known.get("delivery_info"))
        rules = self._rules.of_task(sender) or self._rules.of_name(values[_TASK])
        child = self._child(request, failure)
        self._write(
            _FAILED, time_ns(), (None, None, None, *failure, None, rules, trail, values, *child)
        )

    def retried(self, request: Any, failure: tuple[Any, Any, Any]) -> None:
        """Record a task that the main process gave back to be run again."""
        trail = _trail_of(request.__dict__)
        values = request_values(request)
        rules = self._rules.of_name(values[_TASK])
        self._write(_RETRIED, time_ns(), (None, None, None, *failure, None, rules, trail, values))

    def _child(self, request: Any, failure: tuple[Any, Any, Any]) -> tuple[int | None, ...]:
        if not failure[0].endswith(_CHILD_GONE):
            return _NO_CHILD
        end = self._children.of(getattr(request, "worker_pid", None), failure[1])
        return _NO_CHILD if end is None else end.fields()


def _trail_of(headers: Any) -> str | None:
    trail = headers.get(TRAIL_HEADER)
    return trail if is_trail(trail) else trace_of_unrecorded(headers)


def _undecoded(request: Any) -> Any:
    body = request.body
    return body if isinstance(body, (bytes, bytearray, memoryview, str)) else None
