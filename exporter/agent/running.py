"""The run of a task under way: its state is kept on the request object, never by task id.

One message was seen to run four times, two of them at once; only the request tells them apart.
"""

from __future__ import annotations

from typing import Any

from celery._state import _task_stack

RUN_KEY = "_celerytrail_run"
"""Where the run is in the request's ``__dict__``: a list, so that a request can still be dumped."""

RUN_ID, START_NS, CLOCK_NS, SEGMENT, TRAIL, REQUEST, EXCEPTION, ENDED = range(8)
"""Positions in that list. EXCEPTION is (class, message, traceback) or None, SEGMENT what the writer
calls the segment that the start is in."""


ALL_STACKS: Any = getattr(getattr(_task_stack, "_local", None), "__storage__", (None,))
"""Celery's table of what runs on which thread: false when no task runs on any, as in a publisher."""


def current_request() -> Any:
    """Return the request of the task that runs on this thread, or None outside of any."""
    if not ALL_STACKS:
        return None
    stack = _stack_of(_task_stack)
    if not stack:
        return None
    requests = _stack_of(stack[-1].request_stack)
    if requests and requests[-1].__dict__.get("id") is not None:
        return requests[-1]
    return _request_below(stack)


def request_of(task: Any) -> Any:
    """Return the request that a task runs for on this thread, or None."""
    requests = task.request_stack
    try:  # as in _stack_of: one call less for each run
        local = requests._local
        return local.__storage__[local.__ident_func__()]["stack"][-1]
    except (AttributeError, LookupError, TypeError):
        found = _stack_of(requests)
    return found[-1] if found else None


def _stack_of(local_stack: Any) -> Any:
    # Celery's LocalStack.top takes more than a microsecond, most of it for raised errors: too dear
    # for each publish and each run. Its storage is looked at as it is where it looks as expected.
    try:
        local = local_stack._local
        held = local.__storage__.get(local.__ident_func__())
    except AttributeError:  # with USE_FAST_LOCALS it is another class
        return local_stack.stack
    return held and held.get("stack")


def _request_below(stack: list[Any]) -> Any:
    # A task that was called as a function has a request without an id on top of the real one.
    for task in reversed(stack):
        for request in reversed(_stack_of(task.request_stack) or ()):
            if request.__dict__.get("id") is not None:
                return request
    return None


def run_of(request: Any) -> list[Any] | None:
    """Return the run that is kept on a request and has not ended, or None."""
    run: list[Any] | None = request.__dict__.get(RUN_KEY) if request is not None else None
    return None if run is None or run[ENDED] else run
