"""Where to send and how: the standard OTLP variables, and ours, which win over them.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/. A variable of one signal
(``OTEL_EXPORTER_OTLP_TRACES_*``, ``OTEL_EXPORTER_OTLP_LOGS_*``) wins over the general one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

from celerytrail.exporter.shipper.errors import ConfigError

TRACES, LOGS = "traces", "logs"
DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
"""Where it goes when no variable says: a sink or a Collector on this host; the agent says the same."""

DEFAULT_TIMEOUT_SECONDS = 10.0
_OTEL = "OTEL_EXPORTER_OTLP_"
_CONTROL = re.compile("[\0-\x08\n-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one signal goes: URL, headers, timeout in seconds, whether to gzip, TLS files."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    gzip: bool = True
    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    @property
    def receiver(self) -> str:
        """Scheme, host and port of the URL, for people: some receivers take a secret in the path."""
        return _receiver(self.url)


def endpoint_of(signal: str, environ: Mapping[str, str]) -> Endpoint:
    """Return where ``signal`` (``traces`` or ``logs``) goes, without our token.

    Raises ConfigError naming the variable that is missing, malformed or contradicts another.
    """
    name, url = _url(signal, environ)
    certificate = _file(signal, "CERTIFICATE", environ)
    client_certificate = _file(signal, "CLIENT_CERTIFICATE", environ)
    client_key = _file(signal, "CLIENT_KEY", environ)
    if (client_certificate is None) != (client_key is None):
        raise ConfigError(
            f"{_OTEL}CLIENT_CERTIFICATE and {_OTEL}CLIENT_KEY belong together: set both or none"
        )
    return Endpoint(
        url,
        _headers(signal, name, url, environ),
        _timeout(signal, environ),
        _compression(signal, environ),
        certificate,
        client_certificate,
        client_key,
    )


def _url(signal: str, environ: Mapping[str, str]) -> tuple[str, str]:
    path = f"/v1/{signal}"
    if environ.get("CELERYTRAIL_ENDPOINT"):
        name = "CELERYTRAIL_ENDPOINT"
        return name, _checked(name, environ[name]).rstrip("/") + path
    name = f"{_OTEL}{signal.upper()}_ENDPOINT"
    if environ.get(name):
        _check_protocol(signal, environ)
        return name, _checked(name, environ[name])
    general = f"{_OTEL}ENDPOINT"
    if environ.get(general):
        _check_protocol(signal, environ)
        return general, _checked(general, environ[general]).rstrip("/") + path
    for other in (TRACES, LOGS):
        if environ.get(f"{_OTEL}{other.upper()}_ENDPOINT"):
            # Half to where they said and half to where nobody listens: spans wait for payloads.
            raise ConfigError(
                f"{_OTEL}{other.upper()}_ENDPOINT is set and {name} is not: set {name} too, or "
                "CELERYTRAIL_ENDPOINT for both"
            )
    return "CELERYTRAIL_ENDPOINT", DEFAULT_ENDPOINT + path


def _checked(name: str, url: str) -> str:
    # An @ anywhere: a password with a slash in it would pass for host, port and path.
    if "@" in url:
        raise ConfigError(f"{name} has a user in it: set CELERYTRAIL_TOKEN or headers instead")
    receiver = _receiver(url)
    if not receiver:
        raise ConfigError(f"{name} is no URL of a receiver: give one such as http://sink:4318")
    if "?" in url or "#" in url:
        raise ConfigError(
            f"{name} ({receiver}) has a query or a fragment: leave it out, and set "
            "CELERYTRAIL_TOKEN or headers where it is a secret"
        )
    if any(not "!" <= letter <= "~" for letter in url):
        raise ConfigError(f"{name} has a space or a letter that a URL cannot have")
    return url


def _receiver(url: str) -> str:
    """Return ``scheme://host:port`` of a URL without a user, '' for what is no URL of HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _check_protocol(signal: str, environ: Mapping[str, str]) -> None:
    for name in (f"{_OTEL}{signal.upper()}_PROTOCOL", f"{_OTEL}PROTOCOL"):
        protocol = environ.get(name)
        if protocol:
            if protocol != "http/protobuf":
                raise ConfigError(
                    f"{name}={protocol}: the shipper speaks http/protobuf; set CELERYTRAIL_ENDPOINT "
                    "to an OTLP/HTTP receiver (port 4318 by default)"
                )
            return


def _headers(
    signal: str, endpoint_name: str, url: str, environ: Mapping[str, str]
) -> dict[str, str]:
    name = f"{_OTEL}{signal.upper()}_HEADERS"
    if not environ.get(name):
        name = f"{_OTEL}HEADERS"
    text = environ.get(name) or ""
    if endpoint_name == "CELERYTRAIL_ENDPOINT":
        meant_for = environ.get(f"{_OTEL}{signal.upper()}_ENDPOINT") or environ.get(
            f"{_OTEL}ENDPOINT"
        )
        if meant_for and _receiver(meant_for) != _receiver(url):
            # They may hold the credentials for another receiver.
            return {}
    headers: dict[str, str] = {}
    with _silent_parser():
        for number, item in enumerate(text.split(","), start=1):
            if not item.strip():
                continue
            parsed = parse_env_headers(item, liberal=True)
            if not parsed:
                raise ConfigError(
                    f"{name}: header {number} cannot be read: give name=value,name=value, with "
                    "values URL encoded"
                )
            headers.update(parsed)
    for header, value in headers.items():
        _check_header(name, header, value)
    return headers


def _check_header(name: str, header: str, value: str) -> None:
    if not header.isascii() or _CONTROL.search(header) or set(header) & set(" \t:"):
        raise ConfigError(f"{name}: the name of a header has a letter that it cannot have")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        # Not chained: that error holds the value.
        problem = "a letter that HTTP cannot carry, it knows Latin-1 only"
    else:
        if not _CONTROL.search(value):
            return
        problem = "a line break or another control character"
    raise ConfigError(f"{name}: the value of header {header!r} has {problem}")


@contextmanager
def _silent_parser() -> Iterator[None]:
    # It logs what it cannot read, and that may be a credential.
    logger = logging.getLogger("opentelemetry.util.re")
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(_record: logging.LogRecord) -> bool:
    return False


def _timeout(signal: str, environ: Mapping[str, str]) -> float:
    # In seconds, as in the OpenTelemetry SDK for Python, which reads the same environment.
    for name in (f"{_OTEL}{signal.upper()}_TIMEOUT", f"{_OTEL}TIMEOUT"):
        text = environ.get(name, "").strip()
        if text:
            try:
                seconds = float(text)
            except ValueError:
                seconds = -1.0
            if not 0 < seconds <= 3600:
                raise ConfigError(f"{name}={text!r}: give seconds, more than 0 and at most 3600")
            return seconds
    return DEFAULT_TIMEOUT_SECONDS


def _compression(signal: str, environ: Mapping[str, str]) -> bool:
    for name in (f"{_OTEL}{signal.upper()}_COMPRESSION", f"{_OTEL}COMPRESSION"):
        text = environ.get(name, "").strip().lower()
        if text:
            if text not in ("gzip", "none"):
                raise ConfigError(f"{name}={text!r}: give gzip or none")
            return text == "gzip"
    return True


def _file(signal: str, what: str, environ: Mapping[str, str]) -> Path | None:
    for name in (f"{_OTEL}{signal.upper()}_{what}", f"{_OTEL}{what}"):
        text = environ.get(name)
        if text:
            path = Path(text)
            if not path.is_file():
                raise ConfigError(f"{name}={text}: there is no such file")
            return path
    return None
