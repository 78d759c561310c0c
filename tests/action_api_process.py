"""A real ``celerytrail action-api`` in a process of its own, on a free port."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.server_process import ServerProcess
from tests.waiting import DEADLINE_SECONDS


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self
        document = self.json()
        assert document["status"] == self.status
        assert document["request_id"] == self.headers["x-request-id"]
        return str(document["code"])


@dataclass(slots=True)
class ActionApiProcess(ServerProcess):
    """Starts an action API over a database and speaks to it."""

    dsn: str
    directory: Path
    config: str
    arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    subcommand = "action-api"

    def settings(self) -> dict[str, str]:
        """Write its file and return the variables that it is started with."""
        file = self.directory / "actions.toml"
        file.write_text(self.config)
        return {
            "CELERYTRAIL_DSN": self.dsn,
            "CELERYTRAIL_ACTIONS_CONFIG": str(file),
            **self.environ,
        }

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        timeout: float = DEADLINE_SECONDS,
    ) -> ApiAnswer:
        """Send one request with exactly these headers, repeated ones included."""
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        query = f"?{urlencode(parameters)}" if parameters else ""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.putrequest(method, path + query, skip_accept_encoding=True)
            for name, value in pairs:
                connection.putheader(name, value.encode())
            if body is not None and not any(n.lower() == "content-length" for n, _ in pairs):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return ApiAnswer(response.status, named, response.read())
        finally:
            connection.close()

    def act(
        self, path: str, headers: Mapping[str, str], parameters: Mapping[str, str], **more: Any
    ) -> ApiAnswer:
        """Press a button: POST with the parameters in the query string and ``{}`` as the body."""
        sent = {"Content-Type": "application/json", "X-Celerytrail-Action": "1", **headers}
        return self.request("POST", path, sent, b"{}", parameters=parameters, **more)

    def raw(self, request: bytes) -> bytes:
        """Send these bytes and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS) as sock:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := sock.recv(65536):
                received += chunk
            return received

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of /metrics, 0 when it is not there."""
        from prometheus_client.parser import text_string_to_metric_families

        text = self.request("GET", "/metrics").body.decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"celerytrail_actions_{name}" and sample.labels == labels:
                    return float(sample.value)
        return 0.0
