"""The OpenTelemetry resource of a stream: which process of which deployment speaks."""

from __future__ import annotations

from urllib.parse import unquote

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.sdk.resources import Resource

from celerytrail.exporter.spool.segment import SegmentHeader


def resource_of(header: SegmentHeader) -> Resource:
    """Return the SDK's resource of the process that wrote a segment.

    It has what ``OTEL_RESOURCE_ATTRIBUTES`` said in that process, and over it what the agent found
    out there. The environment of the shipper plays no part.
    """
    return Resource(_parse(header.resource_attributes)).merge(
        Resource(
            {
                "service.namespace": header.namespace,
                "service.name": header.service,
                "deployment.environment.name": header.environment,
                "service.instance.id": header.worker,
                "host.name": header.host,
                "process.pid": header.pid,
                "celerytrail.process.kind": header.process_kind,
                "celerytrail.stream.id": header.stream_id,
                "celerytrail.version": header.agent_version,
            }
        )
    )


def resource_message(resource: Resource) -> ResourceMessage:
    """Return the OTLP message of a resource whose attributes are text and integers."""
    return ResourceMessage(
        attributes=[
            KeyValue(
                key=key,
                value=AnyValue(int_value=value)
                if isinstance(value, int) and not isinstance(value, bool)
                else AnyValue(string_value=str(value)),
            )
            for key, value in resource.attributes.items()
        ]
    )


def _parse(text: str) -> dict[str, str]:
    # The SDK's detector reads the environment of its own process only; same rules as there.
    pairs = (item.split("=", 1) for item in text.split(",") if "=" in item)
    return {key.strip(): unquote(value.strip()) for key, value in pairs if key.strip()}
