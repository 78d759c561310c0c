"""Notes as OTLP log records over HTTP, for any Collector or log store.

Protocol: https://opentelemetry.io/docs/specs/otlp/#otlphttp, binary Protobuf, path ``/v1/logs``.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from celerytrail.sql.checkpoint.checkpoint_file import Entry
from celerytrail.sql.checkpoint.errors import CheckpointError, DestinationDown
from celerytrail.sql.checkpoint.statement import Checkpoint, KeyChange, NewEpoch

EVENT_NAME = "celerytrail.checkpoint"
_SEVERITY_INFO = SeverityNumber.SEVERITY_NUMBER_INFO
_MAX_ANSWER = 64 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_KINDS = {Checkpoint: "checkpoint", KeyChange: "key-change", NewEpoch: "epoch"}


class OtlpLog:
    """Sends each note as one log record to an endpoint such as ``https://collector:4318``.

    ``headers`` go with each request and are never shown. Raises CheckpointError for an endpoint that
    is none.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout_seconds: float) -> None:
        parts = urlsplit(endpoint)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or port == -1
            or "@" in parts.netloc
            or parts.query
        ):
            raise CheckpointError(
                "the OTLP endpoint has to look like https://collector:4318, with headers apart from it"
            )
        path = parts.path.rstrip("/")
        self._path = path if path.endswith("/v1/logs") else f"{path}/v1/logs"
        self._headers = {"Content-Type": "application/x-protobuf", **headers}
        self._host = parts.netloc
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(
                parts.hostname, port, timeout=timeout_seconds, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, port, timeout=timeout_seconds)
        )

    @property
    def name(self) -> str:
        """Return the name of the destination."""
        return f"otlp {self._host}"

    def publish(self, entry: Entry) -> None:
        """Send a note; 2xx is a receipt. Raises DestinationDown."""
        body = request_of(entry).SerializeToString()
        try:
            try:
                status = self._post(body)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A connection that was idle is closed by the other side without a word.
                self._connection.close()
                status = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise DestinationDown(f"{self._host}: {said}") from error
        if not 200 <= status < 300:
            raise DestinationDown(f"{self._host} answered {status}")

    def _post(self, body: bytes) -> int:
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        answer.read(_MAX_ANSWER)
        if answer.will_close or not answer.isclosed():
            self._connection.close()
        return answer.status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def request_of(entry: Entry) -> ExportLogsServiceRequest:
    """Return the request that carries a note: its text in the body, what it is in attributes."""
    said = entry.statement
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.append(_attribute("service.name", "celerytrail-checkpoint"))
    logs = resource.scope_logs.add()
    logs.scope.name = "celerytrail.checkpoint"
    record = logs.log_records.add()
    record.time_unix_nano = (said.time - _EPOCH) // _MICROSECOND * 1000
    record.observed_time_unix_nano = record.time_unix_nano
    record.severity_number = _SEVERITY_INFO
    record.severity_text = "INFO"
    record.body.string_value = str(entry.note)
    attributes = {
        "event.name": EVENT_NAME,
        "celerytrail.checkpoint.kind": _KINDS[type(said)],
        "celerytrail.ledger_id": str(said.ledger_id),
        "celerytrail.checkpoint.keys": " ".join(
            f"{one.name}+{one.key_hash.hex()}" for one in entry.note.signatures
        ),
    }
    record.attributes.extend(_attribute(name, value) for name, value in attributes.items())
    return request


def _attribute(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=value))
