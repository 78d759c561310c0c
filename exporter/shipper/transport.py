"""OTLP over HTTP: one kept connection to each receiver, one request at a time."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from celerytrail.exporter.shipper.errors import ConfigError, Unreachable
from celerytrail.exporter.shipper.gzip_body import gzip_body
from celerytrail.exporter.shipper.otlp_settings import Endpoint

MAX_ANSWER_BYTES = 64 * 1024
_ERRORS = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered: status, Retry-After if it gave one, and the first bytes of the body."""

    status: int
    retry_after: str | None
    body: bytes


class Transport(Protocol):
    """Sends one request to one endpoint."""

    def post(self, endpoint: Endpoint, body: bytes, token: str | None) -> Answer:
        """Send an encoded request. Raises Unreachable when there is no answer."""

    def abort(self) -> None:
        """Break off the request in flight."""

    def close(self) -> None:
        """Let go of what is open."""


class HttpTransport:
    """The transport over ``http.client``; redirects are not followed, proxies not used."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._connections: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def post(self, endpoint: Endpoint, body: bytes, token: str | None) -> Answer:
        """Send an encoded request. Raises Unreachable, naming the receiver, when there is no answer."""
        headers = {
            **endpoint.headers,
            "content-type": "application/x-protobuf",
            "user-agent": self._user_agent,
        }
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if endpoint.gzip:
            headers["content-encoding"] = "gzip"
            body = gzip_body(body)
        parts = urlsplit(endpoint.url)
        key = (parts.scheme, parts.netloc)
        reused = key in self._connections
        try:
            try:
                return self._exchange(key, endpoint, parts.path or "/", body, headers)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # A receiver may close a connection that idled. Sending again is harmless: it knows
                # what it has.
                if not reused:
                    raise
                return self._exchange(key, endpoint, parts.path or "/", body, headers)
        except _ERRORS as exc:
            reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            raise Unreachable(f"{parts.scheme}://{parts.netloc}: {reason}") from exc

    def abort(self) -> None:
        """Break off the request in flight, for use in a signal handler."""
        for connection in self._connections.values():
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def close(self) -> None:
        """Close the kept connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _exchange(
        self,
        key: tuple[str, str],
        endpoint: Endpoint,
        path: str,
        body: bytes,
        headers: dict[str, str],
    ) -> Answer:
        connection = self._connections.get(key)
        if connection is None:
            connection = self._connections[key] = _connect(endpoint)
        try:
            try:
                connection.request("POST", path, body, headers)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise
                # A receiver that will not read all of a body may have answered why: 413, 401.
            response = connection.getresponse()
            answer = Answer(
                response.status, response.getheader("retry-after"), response.read(MAX_ANSWER_BYTES)
            )
            if not response.isclosed() or response.will_close:
                self._drop(key)
            return answer
        except BaseException:
            self._drop(key)
            raise

    def _drop(self, key: tuple[str, str]) -> None:
        connection = self._connections.pop(key, None)
        if connection is not None:
            connection.close()


def _connect(endpoint: Endpoint) -> http.client.HTTPConnection:
    parts = urlsplit(endpoint.url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=endpoint.timeout_seconds)
    return http.client.HTTPSConnection(
        host, parts.port, timeout=endpoint.timeout_seconds, context=tls_context(endpoint)
    )


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Return the TLS settings of an endpoint. Raises ConfigError for files that hold no certificate."""
    try:
        context = ssl.create_default_context(
            cafile=str(endpoint.certificate) if endpoint.certificate else None
        )
        if endpoint.client_certificate and endpoint.client_key:
            context.load_cert_chain(endpoint.client_certificate, endpoint.client_key)
    except (ssl.SSLError, OSError) as exc:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_CERTIFICATE, CLIENT_CERTIFICATE or CLIENT_KEY cannot be used: "
            f"{exc.strerror or exc}"
        ) from exc
    return context
