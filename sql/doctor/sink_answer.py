"""Asks a sink what it is, over HTTP, in a bounded time and with a token that is never shown."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
_MOST_BYTES = 65_536
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class SinkAnswer:
    """Why there was no answer, else its status and object, and when it was asked and answered (Unix time)."""

    trouble: str = ""
    status: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    asked: float = 0.0
    answered: float = 0.0


def shown(url: str) -> str:
    """Return what may be shown of a URL: no user, no password, no query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else "a sink's URL"
    except ValueError:
        return "a sink's URL"


def ask(url: str, token: str | None, certificate: Path | None = None) -> SinkAnswer:
    """Ask a sink for /about with a token, without one for /ready; returns in a bounded time.

    Only over https, or to this host: a token must not go over a network in the clear. Names are
    looked up by the system, which knows no deadline: that is left behind in a thread.
    """
    found: list[SinkAnswer] = []
    asking = threading.Thread(
        target=lambda: found.append(_ask(url, token, certificate)), daemon=True
    )
    asking.start()
    asking.join(2 * CONNECT_SECONDS + 2 * ANSWER_SECONDS)
    return found[0] if found else SinkAnswer("does not answer in time")


def _ask(url: str, token: str | None, certificate: Path | None) -> SinkAnswer:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = "", 0
    if not host or not port or "@" in url:
        return SinkAnswer("is no URL of a sink, such as https://sink.example:4318")
    if parts.scheme == "http" and not _is_here(host):
        return SinkAnswer("is not asked: plain http is for this host alone, use https")
    try:
        context = ssl.create_default_context(cafile=str(certificate) if certificate else None)
    except OSError:
        return SinkAnswer(f"is not asked: {certificate} holds no certificate that can be read")
    path = parts.path.rstrip("/") + ("/ready" if token is None else "/about")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connection = http.client.HTTPConnection(host, port)
    try:
        plain = socket.create_connection((host, port), CONNECT_SECONDS)
        plain.settimeout(ANSWER_SECONDS)
        connection.sock = plain
        if parts.scheme == "https":
            connection.sock = context.wrap_socket(plain, server_hostname=host)
        asked = time.time()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        answered = time.time()
        said = json.loads(response.read(_MOST_BYTES))
        if not isinstance(said, dict):
            return SinkAnswer("answers something else than a sink does")
        return SinkAnswer("", response.status, said, asked, answered)
    except socket.gaierror:
        return SinkAnswer("cannot be found: the name of the host is unknown")
    except ConnectionRefusedError:
        return SinkAnswer("refuses the connection: nothing listens there")
    except TimeoutError:
        return SinkAnswer("does not answer in time")
    except ssl.SSLError as error:
        return SinkAnswer(f"does not agree on TLS: {error.reason or type(error).__name__}")
    except (http.client.HTTPException, ValueError):
        # A token with a line break is such a ValueError, and its text would show it.
        return SinkAnswer("answers something else than a sink does")
    except OSError as error:
        return SinkAnswer(f"cannot be reached: {error.strerror or type(error).__name__}")
    finally:
        connection.close()


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
