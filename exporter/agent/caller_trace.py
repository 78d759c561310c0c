"""The trace that the caller is in already, when OpenTelemetry is in use here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from celerytrail.exporter.spool.traceparent import TRACEPARENT, read_traceparent


def caller_trace(headers: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (trace id, span id) in hex of the caller's trace, or None when there is none.

    A ``traceparent`` in the message headers (W3C Trace Context) comes before the current span of
    OpenTelemetry, which is asked only if the user's own code has loaded it.
    """
    text = headers.get(TRACEPARENT)
    if text is not None:
        given = read_traceparent(text)
        if given is not None:
            return given
    if not in_context():
        return None
    api = sys.modules.get("opentelemetry.trace")
    current = getattr(api, "get_current_span", None)
    if current is None:
        return None
    try:
        context = current().get_span_context()
        if not context.is_valid:
            return None
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"
    except Exception:  # noqa: BLE001 (a broken tracer of theirs must not cost a record of ours)
        return None


def in_context() -> bool:
    """Tell whether the user's own code uses OpenTelemetry, and something is current on this thread.

    This is asked for each publish, so it is what takes least: without a current span, or baggage,
    the current context is an empty mapping. It is a context variable, which is asked itself where
    it is found: that halves the price.
    """
    api: Any = sys.modules.get("opentelemetry.context")
    if api is None:
        return False
    try:
        return bool(api._RUNTIME_CONTEXT._current_context.get())
    except AttributeError:  # somebody's own kind of context
        pass
    except Exception:  # noqa: BLE001 (nor must a broken context)
        return False
    try:
        return bool(api.get_current())
    except Exception:  # noqa: BLE001
        return False
