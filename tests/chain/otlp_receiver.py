"""A receiver of OTLP logs that can be down, refuse, or never answer."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord


class OtlpReceiver:
    """Listens on a free port of its own, the same one each time it is started."""

    def __init__(self) -> None:
        self.status = 200
        self.records: list[LogRecord] = []
        self.headers: list[dict[str, str]] = []
        self.silent = threading.Event()
        self._let_go = threading.Event()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[str]:
        return [record.body.string_value for record in self.records]

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.silent.is_set():
                    receiver._let_go.wait()
                    return
                if receiver.status == 200:
                    assert self.path == "/v1/logs"
                    request = ExportLogsServiceRequest.FromString(body)
                    receiver.headers.append(dict(self.headers))
                    receiver.records.append(request.resource_logs[0].scope_logs[0].log_records[0])
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._let_go.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._let_go.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
