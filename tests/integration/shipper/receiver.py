"""A small real OTLP/HTTP receiver, which answers what the test wants and keeps what it took."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

CUT = -1
HANG = -2
CUT_AFTER_TAKING = -3


@dataclass(slots=True)
class Seen:
    """One request that arrived: path, headers, decoded message, what was answered."""

    path: str
    headers: dict[str, str]
    message: Any
    status: int


@final
@dataclass(slots=True)
class OtlpReceiver:
    """Listens on a free port. ``answers`` are used up first, then ``decide`` is asked, then 200."""

    token: str | None = None
    answers: deque[int] = field(default_factory=deque)
    decide: Callable[[str, Any], int] | None = None
    refuse: Callable[[Any], int] | None = None
    retry_after: str | None = None
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    taken: list[Any] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        assert self._server is not None
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> OtlpReceiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                receiver.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A shipper that was killed in the middle of a request is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        traces = handler.path == "/v1/traces"
        message: Any = (
            ExportTraceServiceRequest.FromString(raw)
            if traces
            else ExportLogsServiceRequest.FromString(raw)
        )
        status = self._status(handler, message)
        with self._lock:
            self.seen.append(Seen(handler.path, dict(handler.headers.items()), message, status))
            refused = 0
            if status in (200, CUT_AFTER_TAKING):
                refused = self.refuse(message) if self.refuse else 0
                self.taken.append(message)
        if status == HANG:
            self.release.wait(60)
        if status < 0:
            handler.close_connection = True
            return
        answer: Any = ExportTraceServiceResponse() if traces else ExportLogsServiceResponse()
        if refused:
            partial = answer.partial_success
            partial.error_message = "some were refused"
            if traces:
                partial.rejected_spans = refused
            else:
                partial.rejected_log_records = refused
        content = answer.SerializeToString()
        handler.send_response(status)
        if self.retry_after is not None and status in (429, 503):
            handler.send_header("Retry-After", self.retry_after)
        handler.send_header("Content-Type", "application/x-protobuf")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _status(self, handler: BaseHTTPRequestHandler, message: Any) -> int:
        if (
            self.token is not None
            and handler.headers.get("Authorization") != f"Bearer {self.token}"
        ):
            return 401
        with self._lock:
            if self.answers:
                return self.answers.popleft()
        return self.decide(handler.path, message) if self.decide else 200

    def spans(self) -> list[tuple[str, Span]]:
        """Return (stream id, span) of all that was taken, in the order of arrival."""
        return [
            (stream, span)
            for message in list(self.taken)
            if isinstance(message, ExportTraceServiceRequest)
            for stream, span in spans_in(message)
        ]

    def logs(self) -> list[tuple[str, LogRecord]]:
        """Return (stream id, log record) of all that was taken, in the order of arrival."""
        return [
            (stream, log)
            for message in list(self.taken)
            if isinstance(message, ExportLogsServiceRequest)
            for stream, log in logs_in(message)
        ]

    def numbers(self) -> dict[tuple[str, int], set[bytes]]:
        """Return the different spans that were taken under each (stream id, seq)."""
        found: dict[tuple[str, int], set[bytes]] = {}
        for stream, span in self.spans():
            key = (stream, attributes(span)["celerytrail.seq"])
            found.setdefault(key, set()).add(span.SerializeToString(deterministic=True))
        return found

    def captured(self) -> set[tuple[str, int]]:
        """Return the (stream id, seq) that were taken, besides what shippers say of themselves."""
        return {
            (said["celerytrail.stream.id"], attributes(span)["celerytrail.seq"])
            for message in list(self.taken)
            if isinstance(message, ExportTraceServiceRequest)
            for resource in message.resource_spans
            for said in [attributes(resource.resource)]
            if said["celerytrail.process.kind"] != "shipper"
            for span in resource.scope_spans[0].spans
        }


def spans_in(message: ExportTraceServiceRequest) -> Iterator[tuple[str, Span]]:
    for resource in message.resource_spans:
        stream = attributes(resource.resource)["celerytrail.stream.id"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield stream, span


def logs_in(message: ExportLogsServiceRequest) -> Iterator[tuple[str, LogRecord]]:
    for resource in message.resource_logs:
        stream = attributes(resource.resource)["celerytrail.stream.id"]
        for scope in resource.scope_logs:
            for log in scope.log_records:
                yield stream, log


def attributes(message: Any) -> dict[str, Any]:
    """Return the attributes of a span, log record or resource as plain values."""
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value")
        for item in message.attributes
    }
