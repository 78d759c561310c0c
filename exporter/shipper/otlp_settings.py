"""Where to send and how: the standard OTLP variables, and ours, which win over them.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/. A variable of one signal
(``OTEL_EXPORTER_OTLP_TRACES_*``, ``OTEL_EXPORTER_OTLP_LOGS_*``) wins over the general one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from opentelemetry.util.re import parse_env_headers

from celerytrail.exporter.shipper.errors import ConfigError

TRACES, LOGS = "traces", "logs"
DEFAULT_TIMEOUT_SECONDS = 10.0
_OTEL = "OTEL_EXPORTER_OTLP_"


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
    name = f"{_OTEL}ENDPOINT"
    if environ.get(name):
        _check_protocol(signal, environ)
        return name, _checked(name, environ[name]).rstrip("/") + path
    raise ConfigError(
        "no endpoint to ship to: set CELERYTRAIL_ENDPOINT (or OTEL_EXPORTER_OTLP_ENDPOINT) to the "
        "sink or Collector, for example http://sink:4318"
    )


def _checked(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
        parts = SplitResult("", "", "", "", "")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"{name} has a user in it: set CELERYTRAIL_TOKEN or headers instead")
    if not valid or parts.query or parts.fragment:
        raise ConfigError(f"{name}={url!r}: give a URL such as http://sink:4318")
    return url


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
    text = environ.get(f"{_OTEL}{signal.upper()}_HEADERS") or environ.get(f"{_OTEL}HEADERS") or ""
    if endpoint_name == "CELERYTRAIL_ENDPOINT":
        meant_for = environ.get(f"{_OTEL}{signal.upper()}_ENDPOINT") or environ.get(
            f"{_OTEL}ENDPOINT"
        )
        if meant_for and urlsplit(meant_for).netloc != urlsplit(url).netloc:
            # They may hold the credentials for another receiver.
            return {}
    try:
        headers = parse_env_headers(text, liberal=True)
    except ValueError as exc:
        raise ConfigError(f"{_OTEL}HEADERS cannot be read: give name=value,name=value") from exc
    for name, value in headers.items():
        if "\n" in value or "\r" in value or not name.isascii():
            raise ConfigError(f"{_OTEL}HEADERS: header {name!r} has a line break or is not ASCII")
    return dict(headers)


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
