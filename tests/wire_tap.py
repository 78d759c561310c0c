"""A recording relay between a shipper and a receiver: what crossed the wire, as it crossed it."""

from __future__ import annotations

import gzip
import http.client
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(slots=True)
class WireTap:
    """Relays OTLP/HTTP to ``target`` and keeps every request that the target answered with 200.

    With ``down`` set the tap answers 503 by itself and forwards nothing: a receiver that is not
    there, without stopping it.
    """

    target: str
    url: str = ""
    down: threading.Event = field(default_factory=threading.Event)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    logs: list[ExportLogsServiceRequest] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        tap = self
        target = urlsplit(self.target)

        class Relay(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if tap.down.is_set():
                    self._answer(503, b"", {"Retry-After": "1"})
                    return
                upstream = http.client.HTTPConnection(
                    target.hostname or "", target.port, timeout=30
                )
                try:
                    upstream.request("POST", self.path, body, dict(self.headers.items()))
                    response = upstream.getresponse()
                    answer = response.read()
                finally:
                    upstream.close()
                if response.status == 200:
                    tap.keep(self.path, body, self.headers.get("Content-Encoding", ""))
                kept = ("Content-Type", "Retry-After", "WWW-Authenticate")
                self._answer(
                    response.status,
                    answer,
                    {name: value for name in kept if (value := response.headers.get(name))},
                )

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the test reads what was kept."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def keep(self, path: str, body: bytes, encoding: str) -> None:
        """Decode one acknowledged request and keep it."""
        data = gzip.decompress(body) if encoding == "gzip" else body
        if path.endswith("/v1/traces"):
            self.traces.append(ExportTraceServiceRequest.FromString(data))
        else:
            self.logs.append(ExportLogsServiceRequest.FromString(data))
