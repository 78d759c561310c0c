"""What was raised after a task's own code had succeeded: by after_return, on_success or a callback's send."""

from __future__ import annotations

import sys
from typing import Any

from billiard.einfo import ExceptionInfo

from celerytrail.exporter.agent.exceptions import class_name, message, traceback_text

_MAX_FRAMES = 8
_TRACER = "trace_task"


def raised_late() -> tuple[Any, Any, Any] | None:
    """Return class, message and traceback of what passes through the tracer that sends task_postrun now.

    Up to Celery 5.5, and for eager tasks in all versions, it turns a success into a failure, which
    is what the backend stores or the caller gets. An exception that somebody else handles further
    up, while this task is run eagerly, is none of this task's: None.
    """
    exc = sys.exc_info()[1]
    if not isinstance(exc, Exception) or exc.__traceback__ is None:
        return None
    frame = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame.f_code.co_name == _TRACER:
            if exc.__traceback__.tb_frame is not frame:
                return None
            return class_name(exc), message(exc), traceback_text(ExceptionInfo())
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None
