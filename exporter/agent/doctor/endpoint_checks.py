"""The endpoint as the doctor sees it: does it answer, in HTTP, and with which clock."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from celerytrail.exporter.agent.doctor.finding import ERROR, WARNING, Finding, Recording

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 2.0
SKEW_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Probe:
    """What asking the endpoint gave: why there was no answer, else its status and clock skew.

    ``skew_seconds`` is positive where the endpoint's clock is ahead, None where it told no time.
    """

    trouble: str = ""
    status: int = 0
    skew_seconds: float | None = None


def endpoint(recording: Recording) -> Iterator[Finding]:
    """Find an endpoint that cannot be reached, is no receiver, or goes by another clock."""
    shown = recording.config.shown_endpoint
    found = probe(recording.shipper.traces_url, recording.shipper.certificate)
    if found.trouble:
        yield Finding(
            ERROR,
            f"{shown} {found.trouble}",
            "records wait in the spool; nothing is lost until it is full",
            "check CELERYTRAIL_ENDPOINT, that a sink or a Collector runs there, and what is between",
        )
    elif found.status == 404:
        yield Finding(
            WARNING,
            f"{shown} answers 404 where spans would go",
            "something else than a receiver of OTLP listens there",
            "check host, port and path of CELERYTRAIL_ENDPOINT",
        )
    if found.skew_seconds is not None and abs(found.skew_seconds) > SKEW_SECONDS:
        ahead = "ahead of" if found.skew_seconds > 0 else "behind"
        yield Finding(
            WARNING,
            f"the clock of {shown} is {abs(found.skew_seconds):.0f} s {ahead} this host's",
            "times of events of different hosts cannot be compared, and durations between them are wrong",
            "synchronise the clocks (chrony, systemd-timesyncd)",
        )


def probe(url: str, certificate: Path | None = None) -> Probe:
    """Ask a receiver for the time of day without a token, and return in a bounded time.

    Names are looked up by the system, which knows no deadline: that is left behind in a thread.
    """
    found: list[Probe] = []
    asking = threading.Thread(target=lambda: found.append(_ask(url, certificate)), daemon=True)
    asking.start()
    asking.join(2 * CONNECT_SECONDS + ANSWER_SECONDS)
    return found[0] if found else Probe("does not answer in time")


def _ask(url: str, certificate: Path | None) -> Probe:
    if "@" in url:
        return Probe(
            "has a user in its URL, which the shipper refuses: set CELERYTRAIL_TOKEN instead"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = "", 0
    if not host or not port:
        return Probe("is no URL of a receiver, such as http://sink:4318")
    try:
        context = ssl.create_default_context(cafile=str(certificate) if certificate else None)
    except OSError:
        return Probe(f"cannot be asked: {certificate} holds no certificate that can be read")
    connection = http.client.HTTPConnection(host, port)
    try:
        plain = socket.create_connection((host, port), CONNECT_SECONDS)
        plain.settimeout(ANSWER_SECONDS)
        connection.sock = plain
        if parts.scheme == "https":
            connection.sock = context.wrap_socket(plain, server_hostname=host)
        asked = time.time()
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        return Probe("", response.status, _skew(response.getheader("date"), asked, time.time()))
    except socket.gaierror:
        return Probe("cannot be found: the name of the host is unknown")
    except ConnectionRefusedError:
        return Probe("refuses the connection: nothing listens there")
    except TimeoutError:
        return Probe(f"does not answer within {CONNECT_SECONDS:g} s")
    except ssl.SSLError as exc:
        return Probe(f"does not agree on TLS: {exc.reason or type(exc).__name__}")
    except http.client.HTTPException:
        return Probe(
            "does not speak HTTP: is that the port of gRPC? OTLP over HTTP is usually 4318"
        )
    except OSError as exc:
        return Probe(f"cannot be reached: {exc.strerror or type(exc).__name__}")
    finally:
        connection.close()


def _skew(date: str | None, asked: float, answered: float) -> float | None:
    try:
        told = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return None
    # The header is cut to seconds and was written some time between question and answer.
    if asked - 1 <= told <= answered:
        return 0.0
    return told - answered if told > answered else told - (asked - 1)
