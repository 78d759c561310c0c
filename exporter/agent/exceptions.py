"""What is recorded of an exception: its class, its message, its traceback, all of them bounded text."""

from __future__ import annotations

from typing import Any

from celerytrail.exporter.spool.plain import clip_front, text_of


def class_name(exc: Any) -> str:
    """Return the full name of an exception's class, without the module for a builtin one.

    This is ``exception.type`` of the OpenTelemetry semantic conventions.
    """
    kind = type(exc)
    module, name = kind.__module__, str(kind.__qualname__)
    if name == "UnpickleableExceptionWrapper":  # Celery's, around what could not be pickled
        module, name = str(exc.exc_module), str(exc.exc_cls_name)
    return name if module == "builtins" else f"{module}.{name}"


def traceback_text(einfo: Any) -> str | None:
    """Return the traceback that Celery made a text of, or None."""
    text = getattr(einfo, "traceback", None)
    return clip_front(text) if isinstance(text, str) else None


def original(exc: Any) -> Any:
    """Return the exception itself where billiard carries it in an ``ExceptionWithTraceback``."""
    if type(exc).__name__ == "ExceptionWithTraceback":
        return getattr(exc, "exc", exc)
    return exc


def message(exc: Any) -> str:
    """Return the exception's message, or its class where its ``__str__`` raises."""
    return text_of(exc)
