"""Running a task: its start, its end and what it ended with, in the process that runs it."""

from __future__ import annotations

from sys import exc_info
from threading import get_ident
from time import monotonic_ns, time_ns
from typing import Any

from celerytrail.exporter.agent.exceptions import class_name, message, original, traceback_text
from celerytrail.exporter.agent.handlers.main_process import MainProcessHandlers
from celerytrail.exporter.agent.raised_late import raised_late
from celerytrail.exporter.agent.recorder import Recorder
from celerytrail.exporter.agent.result import result_value
from celerytrail.exporter.agent.running import (
    CLOCK_NS,
    ENDED,
    EXCEPTION,
    REQUEST,
    RUN_ID,
    RUN_KEY,
    SEGMENT,
    START_NS,
    TRAIL,
    request_of,
    run_of,
)
from celerytrail.exporter.agent.unrecorded import trace_of_unrecorded
from celerytrail.exporter.agent.values import request_values
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.record import LAYOUTS
from celerytrail.exporter.spool.record import REQUEST as REQUEST_LAYOUT
from celerytrail.exporter.spool.trail import TRAIL_HEADER

_STARTED = STEP_BY_NAME["started"].code
_ABORTED = STEP_BY_NAME["aborted"].code
_SUCCEEDED = STEP_BY_NAME["succeeded"].code
_FAILED = STEP_BY_NAME["failed"].code
_END_OF_STATE = {
    "SUCCESS": _SUCCEEDED,
    "FAILURE": _FAILED,
    "RETRY": STEP_BY_NAME["retried"].code,
    "IGNORED": STEP_BY_NAME["ignored"].code,
    "REJECTED": STEP_BY_NAME["rejected"].code,
}
_ID, _TASK = REQUEST_LAYOUT.index("id"), REQUEST_LAYOUT.index("task")
_MAX_UNWOUND = 256
_NOTHING = (None, None, None)
_UP_TO_TRAIL = (None,) * LAYOUTS["succeeded"].index("trail")


class RunHandlers:
    """Handlers of task_prerun, task_postrun, task_failure and task_retry."""

    def __init__(self, recorder: Recorder, main_process: MainProcessHandlers) -> None:
        self._writer = recorder.writer
        self._write = recorder.write
        self._span_id = recorder.ids.span_id
        self._rules = recorder.task_rules.of_task
        self._caught = recorder.guard.caught
        self._capture_result = recorder.config.capture_result
        self._main_process = main_process
        self._last: list[Any] | None = None
        # Runs that an exception ended from outside, and whether their end told it: their failure is
        # told next, on the same thread. Other threads may end runs of theirs before.
        self._unwound: dict[tuple[int, Any], tuple[list[Any], bool]] = {}

    # The arguments that are not used are named all the same: without that Python makes a dict of
    # them for each task.

    def task_prerun(
        self,
        task: Any = None,
        signal: Any = None,
        sender: Any = None,
        task_id: Any = None,
        args: Any = None,
        kwargs: Any = None,
        **_: Any,
    ) -> None:
        """Begin a run: mint its id, keep it on the request, record the start."""
        try:
            now = time_ns()
            request = request_of(task)
            known = request.__dict__
            trail = known.get(TRAIL_HEADER)
            if type(trail) is not str:
                trail = trace_of_unrecorded(known)
            values = request_values(request)
            if values[_TASK] is None:
                values = (*values[:_TASK], task.name, *values[_TASK + 1 :])
            run_id = self._span_id()
            writer = self._writer
            segment = writer.segment
            self._write(_STARTED, now, (trail, values, run_id))
            if segment != writer.segment:
                segment = 0  # another one was begun meanwhile: who knows which it is in
            known[RUN_KEY] = [run_id, now, monotonic_ns(), segment, trail, values, None, False]
        except Exception as exc:  # noqa: BLE001 (never into a task)
            self._caught("task_prerun", exc)

    def task_postrun(
        self,
        task: Any = None,
        retval: Any = None,
        state: Any = None,
        signal: Any = None,
        sender: Any = None,
        task_id: Any = None,
        args: Any = None,
        kwargs: Any = None,
        **_: Any,
    ) -> None:
        """Record how the run ended. No state means that it was aborted: the child is being killed."""
        try:
            clock = monotonic_ns()
            run = run_of(request_of(task))
            if run is None:  # it began before the agent did
                return
            run[ENDED] = True
            self._last = run
            code = _END_OF_STATE.get(state, _ABORTED)
            began, took = run[START_NS], clock - run[CLOCK_NS]
            fields: tuple[Any, ...] = (run[RUN_ID], began, took)
            if exc_info()[1] is not None:
                late = raised_late()
                if late is not None:
                    told = code == _SUCCEEDED
                    if told:
                        code, run[EXCEPTION] = _FAILED, late
                    self._remember(run, told)
            if code != _SUCCEEDED:
                fields += (*(run[EXCEPTION] or _failure_of(retval)), None, self._rules(task))
            elif self._capture_result:
                fields += (*_NOTHING, result_value(retval), self._rules(task))
            if not run[SEGMENT] or run[SEGMENT] != self._writer.segment:
                # Where the start is in the same segment, the reader has it at hand.
                fields = (*fields, *_UP_TO_TRAIL[len(fields) :], run[TRAIL], run[REQUEST])
            # By the monotonic clock: a run does not end before it began, whatever sets the other.
            self._write(code, began + took, fields)
        except Exception as exc:  # noqa: BLE001 (never into a task)
            self._caught("task_postrun", exc)

    def task_failure(
        self,
        sender: Any = None,
        task_id: Any = None,
        exception: Any = None,
        einfo: Any = None,
        **_: Any,
    ) -> None:
        """Keep the exception for the end of the run; without a run, the main process reports it."""
        try:
            exception = original(exception)
            failure = (class_name(exception), message(exception), traceback_text(einfo))
            run = run_of(request_of(sender))
            unwound = self._unwound.pop((get_ident(), task_id), None)
            last, told = unwound or (self._last, False)
            if run is not None and run[REQUEST][_ID] == task_id:
                run[EXCEPTION] = failure
            elif last is not None and last[REQUEST][_ID] == task_id:
                # after_return raised: up to Celery 5.5 the result becomes a failure after the end.
                # Where the run was a success by then, its end says so already.
                if not told:
                    rules = self._rules(sender)
                    end = (None, None, None, *failure, None, rules, last[TRAIL], last[REQUEST])
                    self._write(_FAILED, time_ns(), end)
            else:
                self._main_process.failed(sender, task_id, failure)
        except Exception as exc:  # noqa: BLE001 (never into a task)
            self._caught("task_failure", exc)

    def _remember(self, run: list[Any], told: bool) -> None:
        self._unwound[get_ident(), run[REQUEST][_ID]] = run, told
        if len(self._unwound) > _MAX_UNWOUND:  # an eager task has no failure that is told
            del self._unwound[next(iter(self._unwound))]

    def task_retry(
        self, request: Any = None, reason: Any = None, einfo: Any = None, **_: Any
    ) -> None:
        """Keep why a run is retried; without a run, the main process gave the task up for a retry."""
        try:
            cause = original(getattr(reason, "exc", None))
            if cause is None or isinstance(cause, str):
                cause = reason
            failure = (
                _NOTHING
                if cause is None
                else (class_name(cause), message(cause), traceback_text(einfo))
            )
            run = run_of(request)
            if run is not None:
                run[EXCEPTION] = failure
            else:
                self._main_process.retried(request, failure)
        except Exception as exc:  # noqa: BLE001 (never into a task)
            self._caught("task_retry", exc)


def _failure_of(retval: Any) -> tuple[Any, Any, Any]:
    # Ignore and Reject have no signal of their own; the exception is what the tracer returns.
    if isinstance(retval, BaseException):
        return class_name(retval), message(retval), None
    return _NOTHING
