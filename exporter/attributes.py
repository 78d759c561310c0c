"""The table of what a span says: attribute, where it comes from, the column it lands in.

This is the contract between agent, shipper, sink, SQL and dashboards. To add an attribute, add a
row to ``ATTRIBUTES``; if it has a column, add the column in a migration. To add a step of a task's
life, add a row to ``STEPS``. Tests are red until the rest follows.

Names follow the OpenTelemetry semantic conventions for messaging where they speak, ``celery.*``
for what only Celery knows, ``celerytrail.*`` for the recorder's own bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

SCOPE_NAME = "celerytrail"
"""Instrumentation scope of every span and log record; the sink ignores what has another one."""

PAYLOAD_EVENT_NAME = "celerytrail.payload"
"""``event_name`` of the log records that carry payload items."""

COMMITMENT_DOMAIN = b"celerytrail/commit/v1\0"
"""Domain prefix of a payload commitment: SHA-256(domain | kind | length | salt | bytes)."""

MAX_CLOCK_AHEAD_SECONDS = 300
"""An event whose time is further ahead of the database's clock than this is marked."""


class On(Enum):
    """Where an attribute sits in an OTLP message."""

    RESOURCE = "resource"
    SPAN = "span"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: its name on the wire, the ``spans`` column it fills, and its type.

    ``column`` is None for what stays in the row's ``attributes`` json. ``type`` is the Postgres
    type of the column, or of the value where there is none. Hex strings on the wire become bytea.
    """

    name: str
    column: str | None
    type: str
    source: str
    on: On = On.SPAN


ATTRIBUTES: tuple[Attribute, ...] = (
    # Who speaks: one resource per process.
    Attribute("service.namespace", "namespace", "text", "Deployment.namespace", On.RESOURCE),
    Attribute("service.name", "service", "text", "Deployment.service", On.RESOURCE),
    Attribute(
        "deployment.environment.name", "environment", "text", "Deployment.environment", On.RESOURCE
    ),
    Attribute(
        "service.instance.id",
        "worker",
        "text",
        "worker node name (celery@host), else process kind@host",
        On.RESOURCE,
    ),
    Attribute("host.name", "host", "text", "socket.gethostname()", On.RESOURCE),
    Attribute("process.pid", "pid", "int4", "os.getpid()", On.RESOURCE),
    Attribute(
        "celerytrail.process.kind",
        "process_kind",
        "text",
        "worker, child, beat, publisher or shipper",
        On.RESOURCE,
    ),
    Attribute(
        "celerytrail.stream.id",
        "stream_id",
        "uuid",
        "random, one for each process that captures",
        On.RESOURCE,
    ),
    Attribute("celerytrail.version", None, "text", "version of the agent", On.RESOURCE),
    # Which record this is.
    Attribute(
        "celerytrail.seq", "seq", "int8", "number of the record in its stream, from 1, without gaps"
    ),
    Attribute("celerytrail.step", "step", "text", "name of the step, see STEPS"),
    Attribute(
        "celery.event", None, "text", "the event name people know: task-sent, task-started, ..."
    ),
    Attribute(
        "celerytrail.inferred", "inferred", "bool", "true where the end was concluded, not reported"
    ),
    Attribute(
        "celerytrail.derived", None, "bool", "true where the message carried no header of ours"
    ),
    Attribute("celerytrail.lost", None, "int8", "records this process could not write so far"),
    Attribute("celerytrail.clock_skew_us", None, "int8", "how far a wait would have been negative"),
    # The message and the task.
    Attribute("messaging.system", None, "text", "always celery"),
    Attribute("messaging.operation.name", None, "text", "send, wait, process, ..."),
    Attribute(
        "messaging.operation.type", None, "text", "send or process, where the conventions know it"
    ),
    Attribute(
        "messaging.destination.name",
        "queue",
        "text",
        "declare[0].name at publish, else the routing key",
    ),
    Attribute("messaging.message.id", "task_id", "text", "headers.id"),
    Attribute("messaging.message.conversation_id", "root_id", "text", "headers.root_id"),
    Attribute("celery.task", "task_name", "text", "headers.task"),
    Attribute("celery.retries", "retries", "int4", "headers.retries: 0 for the first attempt"),
    Attribute("celery.parent_id", "parent_id", "text", "headers.parent_id"),
    Attribute(
        "celery.group",
        "group_id",
        "text",
        "innermost group it is a member of: the trail's, else headers.group",
    ),
    Attribute("celery.group_index", None, "int8", "headers.group_index"),
    Attribute(
        "celery.root_group", "root_group_id", "text", "outermost group, by the root-group rule"
    ),
    Attribute(
        "celery.chord.body_id",
        "chord_body_id",
        "text",
        "task id of the chord's body, of its first link where it is a chain",
    ),
    Attribute("celery.chord.body", None, "text", "task name of that; on group spans"),
    Attribute(
        "celery.chord.size", None, "int8", "headers of the chord whose body it is, where counted"
    ),
    Attribute("celery.chain.length", None, "int8", "links of the chain that begins with it"),
    Attribute(
        "celery.chain.left", None, "int8", "links of its chain from it on; not on the first link"
    ),
    Attribute(
        "celery.internal", None, "bool", "true for celery.chord_unlock: Celery's own polling"
    ),
    Attribute("celery.group.kind", None, "text", "group or chord; on group spans"),
    Attribute(
        "celery.group.size", None, "int8", "headers of a chord, where counted; on group spans"
    ),
    Attribute("celery.send.id", "send_id", "bytea", "span id of the send this refers to, hex"),
    Attribute("celery.send.time_unix_nano", "sent_unix_nano", "int8", "time of that send"),
    Attribute("celery.run.id", "run_id", "bytea", "random, minted at task_prerun, hex"),
    Attribute("celery.eta", "eta", "timestamptz", "headers.eta, RFC 3339"),
    Attribute("celery.expires", None, "text", "headers.expires, RFC 3339"),
    Attribute("celery.priority", "priority", "int4", "message priority"),
    Attribute(
        "celery.queue_wait_us", "queue_wait_us", "int8", "start minus the later of send and ETA"
    ),
    Attribute("celery.runtime_us", "runtime_us", "int8", "task_postrun minus task_prerun"),
    Attribute("error.type", "exception_class", "text", "class of the exception"),
    Attribute(
        "celery.exception.fingerprint",
        None,
        "text",
        "16 hex digits of the class and the functions that the exception went through",
    ),
    Attribute("celery.exchange", None, "text", "exchange published to"),
    Attribute("celery.routing_key", None, "text", "routing key published with"),
    Attribute("celery.origin", None, "text", "headers.origin"),
    Attribute("celery.timelimit", None, "text", "headers.timelimit: hard, soft"),
    Attribute("celery.replaced_nesting", None, "int8", "headers.replaced_task_nesting"),
    Attribute("celery.redelivered", None, "bool", "delivery_info.redelivered"),
    Attribute("celery.is_eager", None, "bool", "request.is_eager"),
    Attribute("celery.ignore_result", None, "bool", "headers.ignore_result"),
    Attribute("celery.stamps", None, "text", "names of the stamps on the message"),
    Attribute("celery.content_type", None, "text", "content type of the body"),
    Attribute("celery.body_size", None, "int8", "bytes of the encoded body"),
    Attribute(
        "celerytrail.body.withheld",
        None,
        "text",
        "why the body was not kept for a retry: too_large, missing, redacted or unexamined",
    ),
    Attribute("celery.terminated", None, "bool", "task_revoked.terminated"),
    Attribute("celery.signum", None, "text", "task_revoked.signum"),
    # Worker and stream life.
    Attribute("celery.concurrency", None, "int8", "pool size; on worker spans"),
    Attribute("celery.pool", None, "text", "pool class; on worker spans"),
    Attribute("celery.queues", None, "text", "queues consumed, comma separated; on worker spans"),
    Attribute("celery.version", None, "text", "version of Celery; on worker spans"),
    Attribute("celery.shutdown_how", None, "text", "Warm or Cold; on worker_shutting_down"),
    Attribute("celery.child.pid", None, "int8", "pid of a pool child that is gone"),
    Attribute("celery.child.exit_code", None, "int8", "its exit code; minus the signal's number"),
    Attribute("celery.child.signal", None, "text", "name of the signal that ended it: SIGKILL"),
    Attribute(
        "celery.child.memory_bytes", None, "int8", "resident memory at the last heartbeat before"
    ),
    Attribute(
        "celerytrail.about_stream.id", "about_stream_id", "uuid", "stream that a shipper reports on"
    ),
    Attribute("celerytrail.about_stream.last_seq", None, "int8", "last number read from it"),
    Attribute(
        "celerytrail.about_stream.torn_bytes",
        None,
        "int8",
        "bytes of a torn tail that were skipped",
    ),
    # What a heartbeat says of the spool and of the way to the receiver.
    Attribute("celerytrail.spool.bytes", None, "int8", "sum of all segments of the spool"),
    Attribute("celerytrail.spool.segments", None, "int8", "number of segments of the spool"),
    Attribute(
        "celerytrail.spool.lag_ms", None, "int8", "age of the oldest record that is not delivered"
    ),
    Attribute(
        "celerytrail.spool.rejected",
        None,
        "int8",
        "spans and payloads refused for good since this shipper began",
    ),
    Attribute(
        "celerytrail.delivery.error",
        None,
        "text",
        "class of the last trouble since the heartbeat before: refused 401, connection refused, ...",
    ),
)

COMMITMENT_PREFIX = "celerytrail.commitment."
"""``celerytrail.commitment.<kind>`` = hex of the commitment to the payload item of that kind."""


class Shown(Enum):
    """What a person may see of a payload item."""

    REDACTED = "redacted"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class PayloadKind:
    """One kind of payload item: user data that travels apart from spans and can be erased."""

    name: str
    shown: Shown
    source: str


PAYLOAD_KINDS: tuple[PayloadKind, ...] = (
    PayloadKind("args", Shown.REDACTED, "positional arguments as a JSON array"),
    PayloadKind("kwargs", Shown.REDACTED, "keyword arguments as a JSON object"),
    PayloadKind("result", Shown.REDACTED, "return value as JSON; opt in"),
    PayloadKind("exception", Shown.REDACTED, "exception message, a JSON string"),
    PayloadKind("traceback", Shown.REDACTED, "traceback, a JSON string"),
    PayloadKind("stamps", Shown.REDACTED, "stamps as a JSON object"),
    PayloadKind("body", Shown.SEALED, "the message as kombu encoded it, sealed for the action API"),
)

REASON_KIND = "reason"
"""Kind of the commitment to an operator's words: the database makes it, no shipper sends such an item."""

LOG_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("celerytrail.payload.kind", "kind", "text", "see PAYLOAD_KINDS", On.LOG),
    Attribute(
        "celerytrail.payload.commitment", "commitment", "bytea", "hex, equal to the span's", On.LOG
    ),
    Attribute("celerytrail.payload.salt", "salt", "bytea", "32 bytes, hex", On.LOG),
    Attribute(
        "celerytrail.payload.truncated",
        "truncated",
        "bool",
        "true where a size bound cut it",
        On.LOG,
    ),
    Attribute("messaging.message.id", "task_id", "text", "headers.id", On.LOG),
    Attribute("celery.retries", "retries", "int4", "headers.retries", On.LOG),
    Attribute("celerytrail.seq", "seq", "int8", "number of the record it was captured in", On.LOG),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the life of a task, a group, a worker or a stream.

    ``code`` is its number in a spool record and never changes. ``rank`` orders the steps of one
    send: the state of a task is that of the highest (send time, rank, event time, event id), so it
    does not depend on the order of arrival. The ends that another run of the same message may
    follow share the rank of ``started``: of those, the newest counts. ``state`` is what a person
    reads; ``ends`` says that the run or the task is over.
    """

    code: int
    name: str
    subject: str
    rank: int
    state: str | None
    ends: bool
    event: str


STEPS: tuple[Step, ...] = (
    Step(1, "sent", "task", 10, "sent", False, "task-sent"),
    Step(2, "send_failed", "task", 15, "send_failed", True, "task-send-failed"),
    Step(3, "received", "task", 20, "received", False, "task-received"),
    Step(4, "started", "task", 30, "started", False, "task-started"),
    Step(5, "lost", "task", 30, "lost", True, "task-lost"),
    Step(6, "aborted", "task", 30, "aborted", True, "task-aborted"),
    Step(7, "rejected", "task", 30, "rejected", True, "task-rejected"),
    Step(8, "ignored", "task", 46, "ignored", True, "task-ignored"),
    Step(9, "retried", "task", 48, "retried", True, "task-retried"),
    Step(10, "unknown", "task", 50, "unknown", True, "task-unknown"),
    Step(11, "malformed", "task", 51, "malformed", True, "task-malformed"),
    Step(12, "expired", "task", 60, "expired", True, "task-expired"),
    Step(13, "revoked", "task", 62, "revoked", True, "task-revoked"),
    Step(14, "failed", "task", 70, "failed", True, "task-failed"),
    Step(15, "succeeded", "task", 72, "succeeded", True, "task-succeeded"),
    Step(30, "group", "group", 0, None, False, "group-sent"),
    Step(40, "worker_ready", "worker", 0, "online", False, "worker-online"),
    Step(41, "worker_stopping", "worker", 1, "stopping", False, "worker-stopping"),
    Step(42, "worker_heartbeat", "worker", 0, "online", False, "worker-heartbeat"),
    Step(43, "child_exited", "worker", 0, "online", False, "worker-child-exited"),
    Step(50, "stream_opened", "stream", 0, None, False, "stream-opened"),
    Step(51, "stream_closed", "stream", 2, None, True, "stream-closed"),
    Step(52, "stream_abandoned", "stream", 1, None, True, "stream-abandoned"),
    Step(53, "shipper_heartbeat", "stream", 0, None, False, "shipper-heartbeat"),
)

ACTION_STEPS: tuple[Step, ...] = (Step(20, "purged", "task", 58, "purged", True, "task-purged"),)
"""Steps that no agent records: the ledger's rows of operators' actions say them."""

STEP_BY_NAME = {step.name: step for step in STEPS}
STEP_BY_CODE = {step.code: step for step in STEPS}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``celerytrail.spans`` that the sink fills, in COPY order."""

    name: str
    type: str
    nullable: bool = True


SPAN_COLUMNS: tuple[Column, ...] = (
    Column("event_id", "uuid", False),
    Column("event_time", "timestamptz", False),
    Column("day", "date", False),
    Column("namespace", "text", False),
    Column("service", "text", False),
    Column("environment", "text", False),
    Column("stream_id", "uuid", False),
    Column("seq", "int8", False),
    Column("step", "text", False),
    Column("inferred", "bool", False),
    Column("trace_id", "bytea", False),
    Column("span_id", "bytea", False),
    Column("parent_span_id", "bytea"),
    Column("span_name", "text", False),
    Column("span_kind", "int2", False),
    Column("status_code", "int2", False),
    Column("start_unix_nano", "int8", False),
    Column("end_unix_nano", "int8", False),
    Column("process_kind", "text"),
    Column("worker", "text"),
    Column("host", "text"),
    Column("pid", "int4"),
    Column("task_id", "text"),
    Column("task_name", "text"),
    Column("retries", "int4"),
    Column("queue", "text"),
    Column("root_id", "text"),
    Column("parent_id", "text"),
    Column("group_id", "text"),
    Column("root_group_id", "text"),
    Column("chord_body_id", "text"),
    Column("send_id", "bytea"),
    Column("sent_unix_nano", "int8"),
    Column("run_id", "bytea"),
    Column("eta", "timestamptz"),
    Column("priority", "int4"),
    Column("queue_wait_us", "int8"),
    Column("runtime_us", "int8"),
    Column("exception_class", "text"),
    Column("about_stream_id", "uuid"),
    Column("commitments", "json"),
    Column("links", "json"),
    Column("marks", "text"),
    Column("attributes", "json", False),
)
"""What the sink supplies. The database adds received_at, principal_id and batch_id itself."""

PAYLOAD_COLUMNS: tuple[Column, ...] = (
    Column("event_time", "timestamptz", False),
    Column("day", "date", False),
    Column("namespace", "text", False),
    Column("service", "text", False),
    Column("environment", "text", False),
    Column("task_id", "text", False),
    Column("retries", "int4"),
    Column("stream_id", "uuid", False),
    Column("seq", "int8", False),
    Column("kind", "text", False),
    Column("commitment", "bytea", False),
    Column("salt", "bytea", False),
    Column("truncated", "bool", False),
    Column("body", "bytea", False),
)
"""What the sink supplies for one row of ``celerytrail.payloads``, in COPY order."""

DAY_BEFORE_ALL = "-infinity"
DAY_AFTER_ALL = "infinity"
"""Partition days of the events whose clock is outside the window of day partitions."""
