"""Publish inside a span, as a request would; print its ids and whether it is still the current one."""

import json

from opentelemetry import trace
from traced_app import outer

provider = trace.get_tracer_provider()
with trace.get_tracer("request").start_as_current_span("request") as span:
    task_id = outer.delay().id
    same = trace.get_current_span() is span
context = span.get_span_context()
print(
    json.dumps(
        {
            "task": task_id,
            "trace": f"{context.trace_id:032x}",
            "span": f"{context.span_id:016x}",
            "same_span": same,
            "same_provider": trace.get_tracer_provider() is provider,
        }
    )
)
