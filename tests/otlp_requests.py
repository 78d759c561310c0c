"""OTLP requests as the shipper would send them, with one knob for each test."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import PAYLOAD_EVENT_NAME, SCOPE_NAME
from celerytrail.exporter.commitment import commit
from celerytrail.exporter.deployment import Deployment

SHOP = Deployment("shop", "orders", "test")
Value = AnyValue | str | int | bool | float | bytes


def any_value(value: Value) -> AnyValue:
    if isinstance(value, AnyValue):
        return value
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    return AnyValue(string_value=value)


def key_values(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def resource_attributes(stream: uuid.UUID, deployment: Deployment = SHOP) -> dict[str, Value]:
    return {
        "service.namespace": deployment.namespace,
        "service.name": deployment.service,
        "deployment.environment.name": deployment.environment,
        "service.instance.id": "celery@host-1",
        "host.name": "host-1",
        "process.pid": 4242,
        "celerytrail.process.kind": "child",
        "celerytrail.stream.id": stream.hex,
        "celerytrail.version": "0.1.0",
        "telemetry.sdk.name": "opentelemetry",
    }


def digest(*parts: object) -> bytes:
    return hashlib.sha256("|".join(map(str, parts)).encode()).digest()


def span(
    seq: Value | None = 1,
    step: str | None = "succeeded",
    *,
    task_id: str = "task-1",
    start: int | None = None,
    end: int | None = None,
    extra: Mapping[str, Value] | None = None,
) -> Span:
    now = time.time_ns()
    attributes: dict[str, Value] = {
        "celery.event": f"task-{step}",
        "messaging.system": "celery",
        "messaging.destination.name": "orders",
        "messaging.message.id": task_id,
        "messaging.message.conversation_id": task_id,
        "celery.task": "shop.pay",
        "celery.retries": 0,
        "celery.send.id": digest("send", task_id).hex()[:16],
        "celery.send.time_unix_nano": now - 10**9,
        "celery.run.id": digest("run", task_id).hex()[:16],
        "celery.runtime_us": 1500,
    }
    if seq is not None:
        attributes["celerytrail.seq"] = seq
    if step is not None:
        attributes["celerytrail.step"] = step
    attributes.update(extra or {})
    return Span(
        trace_id=digest("trace", task_id)[:16],
        span_id=digest("span", task_id, seq, step)[:8],
        parent_span_id=digest("send", task_id)[:8],
        name="run shop.pay",
        kind=Span.SpanKind.SPAN_KIND_CONSUMER,
        start_time_unix_nano=now - 2_000_000 if start is None else start,
        end_time_unix_nano=now if end is None else end,
        attributes=key_values(attributes),
    )


def traces(
    spans: Sequence[Span],
    stream: uuid.UUID,
    *,
    deployment: Deployment = SHOP,
    scope: str = SCOPE_NAME,
    resource: Mapping[str, Value] | None = None,
) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    attributes = resource_attributes(stream, deployment) if resource is None else resource
    group.resource.attributes.extend(key_values(attributes))
    scoped = group.scope_spans.add()
    scoped.scope.name = scope
    scoped.spans.extend(spans)
    return request


def payload(
    body: bytes | str = b'["a", 1]',
    *,
    kind: str = "args",
    seq: int = 1,
    task_id: str = "task-1",
    extra: Mapping[str, Value] | None = None,
) -> LogRecord:
    salt = digest("salt", task_id, kind, seq)
    raw = body.encode() if isinstance(body, str) else body
    attributes: dict[str, Value] = {
        "celerytrail.payload.kind": kind,
        "celerytrail.payload.commitment": commit(kind, salt, raw).hex(),
        "celerytrail.payload.salt": salt.hex(),
        "celerytrail.payload.truncated": False,
        "messaging.message.id": task_id,
        "celery.retries": 0,
        "celerytrail.seq": seq,
    }
    attributes.update(extra or {})
    return LogRecord(
        time_unix_nano=time.time_ns(),
        event_name=PAYLOAD_EVENT_NAME,
        body=any_value(body),
        attributes=key_values(attributes),
    )


def logs(
    records: Sequence[LogRecord],
    stream: uuid.UUID,
    *,
    deployment: Deployment = SHOP,
    scope: str = SCOPE_NAME,
) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(key_values(resource_attributes(stream, deployment)))
    scoped = group.scope_logs.add()
    scoped.scope.name = scope
    scoped.log_records.extend(records)
    return request
