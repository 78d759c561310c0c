"""What one spool record holds: a plain tuple whose layout is written down here.

A record is ``(step code, seq, time_unix_nano, fields)``, written with ``marshal`` version 2, which
every CPython 3 reads; ``fields`` is a tuple or a list. ``LAYOUTS`` names the fields of each step in
order. New fields go to the end: a reader takes what is missing as None, so shipper and agent may
differ in version.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from celerytrail.exporter.attributes import STEP_BY_CODE, Step

MARSHAL_VERSION = 2

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
    "ignore_result",
    "lang",
    "shadow",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "argsrepr",
    "kwargsrepr",
)
"""Celery's message headers that are kept, as a tuple in this order.

The last two are left out where the body is kept and says the same.
"""

REQUEST: tuple[str, ...] = (
    "id",
    "task",
    "retries",
    "root_id",
    "parent_id",
    "group",
    "eta",
    "group_index",
    "replaced_task_nesting",
    "routing_key",
    "redelivered",
    "priority",
    "is_eager",
)
"""What is kept of ``task.request`` at a run, as a tuple in this order; the send says the rest."""

_RUN = ("trail", "request", "run_id")
_CHILD = ("child_pid", "exit_code", "signum", "memory_bytes")
# trail and request are left out where the segment holds the start of the run: see OpenRuns.
_END = (
    "run_id",
    "start_unix_nano",
    "runtime_ns",
    "exception_class",
    "exception",
    "traceback",
    "result",
    "task_rules",
    "trail",
    "request",
)

LAYOUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # trail is the text of the message header, headers are values as above; linked_run_id is
        # the run before (retry, replace). body is None when it is over the size bound, and
        # body_size says then how large it was. task_rules is what the task says of itself, see
        # agent/task_rules.py: a text, a tuple of texts where the message names several tasks, None
        # where this process does not know it. chord_headers is there for the body of a chord: span
        # id of the chord, and the number of headers whose span ids are derived from it, or 0.
        # chain_length is there for the first link of a chain, and for the others below zero: how many
        # links there are from this one on.
        "sent": (
            "trail", "headers", "start_unix_nano", "exchange", "routing_key", "priority",
            "reply_to", "content_type", "content_encoding", "body", "chord_body_id",
            "linked_run_id", "body_size", "task_rules", "chord_headers", "chain_length",
        ),
        "send_failed": (
            "trail", "headers", "start_unix_nano", "exchange", "routing_key", "priority",
            "reply_to", "content_type", "content_encoding", "body", "chord_body_id",
            "linked_run_id", "exception_class", "exception", "body_size", "task_rules",
            "chord_headers", "chain_length",
        ),
        # body is there only when the message came without a trail.
        "received": ("trail", "headers", "exchange", "routing_key", "priority", "redelivered",
                     "content_type", "content_encoding", "body", "body_size", "task_rules"),
        "started": _RUN,
        "succeeded": _END,
        # The child is told of by the main process, of a child that is gone.
        "failed": (*_END, *_CHILD),
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
                  "chord_body_id", "size", "chord_body_name"),
        "worker_ready": ("concurrency", "pool", "queues", "celery_version"),
        "worker_stopping": ("how",),
        "worker_heartbeat": ("lost", "spool_bytes", "spool_segments"),
        "child_exited": _CHILD,
        "stream_opened": (),
        "stream_closed": ("lost",),
        "stream_abandoned": ("about_stream_id", "last_seq", "torn_bytes"),
        "shipper_heartbeat": ("spool_bytes", "spool_segments", "lag_ms", "rejected",
                              "delivery_error"),
    }
)  # fmt: skip


class Record(NamedTuple):
    """One record as the shipper reads it: the step, its number, its time and its named fields."""

    step: Step
    seq: int
    time_unix_nano: int
    fields: dict[str, Any]

    @classmethod
    def from_tuple(cls, values: tuple[Any, ...]) -> Record:
        """Name the values of a record.

        Fields that a newer writer appended are dropped, fields that an older one did not know are
        None. Raises ValueError, naming what is wrong, for anything that is not a record.
        """
        if not isinstance(values, tuple) or len(values) != 4:
            raise ValueError(f"a spool record is a tuple of 4 values, not {type(values)}")
        code, seq, time_unix_nano, given = values
        step = STEP_BY_CODE.get(code) if isinstance(code, int) else None
        if step is None:
            raise ValueError(f"spool record with unknown step code {code!r}")
        if not isinstance(seq, int) or not isinstance(time_unix_nano, int):
            raise ValueError(  # noqa: TRY004 (bad data, not a caller's wrong argument)
                f"spool record with sequence number {seq!r} and time {time_unix_nano!r}"
            )
        if not isinstance(given, (tuple, list)):
            raise ValueError(f"spool record whose fields are {type(given)}")  # noqa: TRY004
        names = LAYOUTS[step.name]
        if len(given) < len(names):
            given = (*given, *(None for _ in range(len(names) - len(given))))
        fields = dict(zip(names, given, strict=False))
        body = fields.get("body")
        if type(body) is str:
            fields["body"] = body.encode("utf-8", "surrogatepass")
        return cls(step, seq, time_unix_nano, fields)
