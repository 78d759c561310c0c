"""What one spool record holds: a plain tuple whose layout is written down here.

A record is ``(step code, seq, time_unix_nano, *fields)``, written with ``marshal`` version 2,
which every CPython 3 reads. ``LAYOUTS`` names the fields of each step in order. New fields go to
the end: a reader takes what is missing as None, so shipper and agent may differ in version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from celerytrail.exporter.attributes import STEP_BY_CODE, Step

MARSHAL_VERSION = 2

TRAIL_HEADER = "celerytrail"
"""Message header that carries the trail: a list in the order of ``TRAIL``."""

TRAIL: tuple[str, ...] = (
    "version",  # int, 1
    "trace_id",  # 32 hex digits
    "send_id",  # 16 hex digits: span id of this send
    "sent_unix_nano",  # int
    "parent_span_id",  # 16 hex digits or '': parent of the send span, kept by retries and replaces
    "group_id",  # innermost group of this message, or ''
    "group_span_id",  # 16 hex digits or ''
    "root_group_id",  # outermost group, inherited by all that is published from inside, or ''
    "queue",  # name of the queue, or ''
    "root_group_span_id",  # 16 hex digits or '': lets a chord body find the span of its outer group
)

HEADERS: tuple[str, ...] = (
    "id",
    "task",
    "retries",
    "root_id",
    "parent_id",
    "group",
    "group_index",
    "eta",
    "expires",
    "timelimit",
    "origin",
    "argsrepr",
    "kwargsrepr",
    "ignore_result",
    "replaced_task_nesting",
    "lang",
    "shadow",
    "stamped_headers",
    "stamps",
)
"""Celery's message headers that are kept, as a tuple in this order."""

REQUEST: tuple[str, ...] = (
    "id",
    "task",
    "retries",
    "root_id",
    "parent_id",
    "group",
    "group_index",
    "eta",
    "expires",
    "timelimit",
    "origin",
    "replaced_task_nesting",
    "is_eager",
    "exchange",
    "routing_key",
    "priority",
    "redelivered",
)
"""What is kept of ``task.request`` at a run, as a tuple in this order."""

_RUN = ("trail", "request", "run_id")
_END = (
    *_RUN,
    "start_unix_nano",
    "runtime_ns",
    "exception_class",
    "exception",
    "traceback",
    "result",
)

LAYOUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # trail and headers are tuples as above; linked_run_id is the run before (retry, replace).
        # body is None when it is over the size bound; body_size is known all the same.
        "sent": (
            "trail", "headers", "start_unix_nano", "exchange", "routing_key", "priority",
            "reply_to", "content_type", "content_encoding", "body", "chord_body_id",
            "linked_run_id", "body_size",
        ),
        "send_failed": (
            "trail", "headers", "start_unix_nano", "exchange", "routing_key", "priority",
            "reply_to", "content_type", "content_encoding", "body", "chord_body_id",
            "linked_run_id", "exception_class", "exception", "body_size",
        ),
        # body is there only when the message came without a trail.
        "received": ("trail", "headers", "exchange", "routing_key", "priority", "redelivered",
                     "content_type", "content_encoding", "body", "body_size"),
        "started": _RUN,
        "succeeded": _END,
        "failed": _END,
        "retried": _END,
        "ignored": _END,
        "rejected": _END,
        "aborted": _END,
        "lost": _END,
        "revoked": (*_RUN, "terminated", "signum"),
        "expired": (*_RUN, "terminated", "signum"),
        "unknown": ("trail", "headers", "exception"),
        "malformed": ("exception",),
        # trace_id, span_id, parent_span_id are hex strings.
        "group": ("group_id", "kind", "trace_id", "span_id", "parent_span_id", "root_group_id",
                  "chord_body_id", "size"),
        "worker_ready": ("concurrency", "pool", "queues", "celery_version"),
        "worker_stopping": ("how",),
        "worker_heartbeat": ("lost",),
        "stream_opened": (),
        "stream_closed": ("lost",),
        "stream_abandoned": ("about_stream_id", "last_seq", "torn_bytes"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the shipper reads it: the step, its number, its time and its named fields."""

    step: Step
    seq: int
    time_unix_nano: int
    fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_tuple(cls, values: tuple[Any, ...]) -> Record:
        """Name the values of a record.

        Fields that a newer writer appended are dropped, fields that an older one did not know are
        None. Raises ValueError, naming what is wrong, for anything that is not a record.
        """
        if not isinstance(values, tuple) or len(values) < 3:
            raise ValueError(f"a spool record is a tuple of at least 3 values, not {type(values)}")
        code, seq, time_unix_nano = values[:3]
        step = STEP_BY_CODE.get(code) if isinstance(code, int) else None
        if step is None:
            raise ValueError(f"spool record with unknown step code {code!r}")
        if not isinstance(seq, int) or not isinstance(time_unix_nano, int):
            raise ValueError(  # noqa: TRY004 (bad data, not a caller's wrong argument)
                f"spool record with sequence number {seq!r} and time {time_unix_nano!r}"
            )
        names = LAYOUTS[step.name]
        given = tuple(values[3:])
        padded = (*given, *(None for _ in range(len(names) - len(given))))
        return cls(step, seq, time_unix_nano, dict(zip(names, padded, strict=False)))
