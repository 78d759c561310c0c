"""A real ``celerytrail sink`` in a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.server_process import ServerProcess
from tests.waiting import DEADLINE_SECONDS

PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def traces(self) -> ExportTraceServiceResponse:
        assert (self.status, self.headers["content-type"]) == (200, PROTOBUF), self
        return ExportTraceServiceResponse.FromString(self.body)

    def logs(self) -> ExportLogsServiceResponse:
        assert (self.status, self.headers["content-type"]) == (200, PROTOBUF), self
        return ExportLogsServiceResponse.FromString(self.body)


@dataclass(slots=True)
class SinkProcess(ServerProcess):
    """Starts a sink over a database and speaks to it."""

    dsn: str
    directory: Path
    token: str
    environ: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    subcommand = "sink"

    def worker_pids(self) -> list[int]:
        assert self.process is not None
        found = []
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            if f"\nPPid:\t{self.process.pid}\n" in text:
                found.append(int(status.parent.name))
        return found

    def peak_memory(self) -> int:
        """Return the largest peak of resident memory of its processes, in bytes."""
        assert self.process is not None
        peaks = []
        for pid in (self.process.pid, *self.worker_pids()):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) * 1024)
        return max(peaks)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = DEADLINE_SECONDS,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            # A refusal may come, and the connection end, before all of the body was sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()

    def post(
        self,
        message: Message | bytes,
        path: str = "/v1/traces",
        *,
        token: str | None = None,
        packed: bool = False,
        **headers: str,
    ) -> Answer:
        body = message if isinstance(message, bytes) else message.SerializeToString()
        sent = {"Content-Type": PROTOBUF, "Authorization": f"Bearer {token or self.token}"}
        if packed:
            body = gzip.compress(body, 5)
            sent["Content-Encoding"] = "gzip"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, body, sent)

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of /metrics, 0 when it is not there."""
        from prometheus_client.parser import text_string_to_metric_families

        text = self.request("GET", "/metrics").body.decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"celerytrail_sink_{name}" and sample.labels == labels:
                    return float(sample.value)
        return 0.0
