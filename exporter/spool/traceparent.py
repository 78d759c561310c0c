"""The message header in which OpenTelemetry says which trace and span a message comes from."""

from __future__ import annotations

import re

TRACEPARENT = "traceparent"
"""Name of the header, by W3C Trace Context."""

_LAYOUT = re.compile(
    r"[ \t]*(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?[ \t]*"
)
_MAX_LENGTH = 512  # as OpenTelemetry's own reader has it
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


def read_traceparent(text: object) -> tuple[str, str] | None:
    """Return (trace id, span id) in hex, or None for what is no such header.

    It is read as OpenTelemetry reads it, and nothing is raised: anybody may have written it.
    """
    match = _LAYOUT.fullmatch(text) if type(text) is str and len(text) <= _MAX_LENGTH else None
    if match is None:
        return None
    version, trace_id, span_id, more = match.groups()
    # Only a later version of the format than 00 may go on after its flags.
    if trace_id == _NO_TRACE or span_id == _NO_SPAN or (more and version == "00"):
        return None
    return trace_id, span_id
