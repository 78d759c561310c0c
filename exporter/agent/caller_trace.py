"""The trace that the caller is in already, when OpenTelemetry is in use here."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

TRACEPARENT = "traceparent"

_TRACEPARENT = re.compile(
    r"[ \t]*(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?[ \t]*"
)
_MAX_LENGTH = 512  # as OpenTelemetry's own reader has it
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


def caller_trace(headers: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (trace id, span id) in hex of the caller's trace, or None when there is none.

    A ``traceparent`` in the message headers (W3C Trace Context) comes before the current span of
    OpenTelemetry, which is asked only if the user's own code has loaded it.
    """
    text = headers.get(TRACEPARENT)
    if text is not None and type(text) is str and len(text) <= _MAX_LENGTH:
        match = _TRACEPARENT.fullmatch(text)
        if match is not None:
            version, trace_id, span_id, more = match.groups()
            # Only a later version of the format than 00 may go on after its flags.
            if trace_id != _NO_TRACE and span_id != _NO_SPAN and not (more and version == "00"):
                return trace_id, span_id
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
    the current context is an empty mapping.
    """
    api = sys.modules.get("opentelemetry.context")
    try:
        return api is not None and bool(api.get_current())
    except Exception:  # noqa: BLE001 (nor must a broken context)
        return False
