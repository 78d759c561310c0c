"""Everything the sink can be told, read from the environment once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.exporter.sink.body import BodyBounds
from celerytrail.exporter.sink.errors import SinkError

DEFAULT_BIND = "127.0.0.1:4318"
MIB = 1024 * 1024


class ConfigError(SinkError):
    """A setting is missing or wrong; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """Settings of one sink.

    ``dsn`` is a libpq connection string of the role celerytrail_sink; it is left out of repr.
    ``threads`` handle requests; ``max_requests`` of them may be OTLP requests at a time, so that
    refusals and health checks always find one. ``max_bytes_in_flight`` counts inflated bodies.
    """

    dsn: str = field(repr=False)
    bind: str = DEFAULT_BIND
    workers: int = 1
    threads: int = 16
    max_requests: int = 8
    max_bytes_in_flight: int = 48 * MIB
    body_bounds: BodyBounds = field(default_factory=BodyBounds)
    connections: int = 4
    database_timeout_seconds: float = 5.0
    start_timeout_seconds: float = 10.0
    graceful_seconds: int = 25
    wait_for_database: bool = False
    log_level: str = "info"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> SinkConfig:
        """Read ``CELERYTRAIL_DSN`` (or ``CELERYTRAIL_DSN_FILE``) and ``CELERYTRAIL_SINK_*``.

        Raises ConfigError naming the variable.
        """
        bounds = BodyBounds(
            max_bytes=_integer(environ, "CELERYTRAIL_SINK_MAX_BODY_BYTES", 4 * MIB, 64 * MIB),
            max_inflated_bytes=_integer(
                environ, "CELERYTRAIL_SINK_MAX_INFLATED_BYTES", 32 * MIB, 512 * MIB
            ),
            seconds=float(_integer(environ, "CELERYTRAIL_SINK_BODY_SECONDS", 30, 600)),
        )
        max_requests = _integer(environ, "CELERYTRAIL_SINK_MAX_REQUESTS", 8, 1000)
        return cls(
            dsn=_dsn(environ),
            bind=environ.get("CELERYTRAIL_SINK_BIND") or DEFAULT_BIND,
            workers=_integer(environ, "CELERYTRAIL_SINK_WORKERS", 1, 64),
            threads=_integer(environ, "CELERYTRAIL_SINK_THREADS", max_requests + 8, 2000),
            max_requests=max_requests,
            max_bytes_in_flight=_integer(
                environ, "CELERYTRAIL_SINK_MAX_BYTES_IN_FLIGHT", 48 * MIB, 4096 * MIB
            ),
            body_bounds=bounds,
            connections=_integer(environ, "CELERYTRAIL_SINK_CONNECTIONS", 4, 100),
            database_timeout_seconds=float(
                _integer(environ, "CELERYTRAIL_SINK_DATABASE_SECONDS", 5, 120)
            ),
            start_timeout_seconds=float(
                _integer(environ, "CELERYTRAIL_SINK_START_SECONDS", 10, 3600)
            ),
            graceful_seconds=_integer(environ, "CELERYTRAIL_SINK_GRACEFUL_SECONDS", 25, 600),
            wait_for_database=_flag(environ, "CELERYTRAIL_SINK_WAIT_FOR_DATABASE"),
            log_level=_level(environ),
        )


def _dsn(environ: Mapping[str, str]) -> str:
    dsn = environ.get("CELERYTRAIL_DSN")
    if dsn:
        return dsn
    file = environ.get("CELERYTRAIL_DSN_FILE")
    if not file:
        raise ConfigError(
            "no database: set CELERYTRAIL_DSN, or CELERYTRAIL_DSN_FILE to a file that holds it"
        )
    try:
        text = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"CELERYTRAIL_DSN_FILE {file} cannot be read: {_why(error)}") from error
    if not text:
        raise ConfigError(f"CELERYTRAIL_DSN_FILE {file} is empty: write the DSN into it")
    return text


def _why(error: Exception) -> str:
    return error.strerror or "unknown" if isinstance(error, OSError) else "it is not text"


def _integer(environ: Mapping[str, str], name: str, default: int, highest: int) -> int:
    text = environ.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise ConfigError(f"{name} has to be a whole number, not {text!r}") from None
    if not 1 <= value <= highest:
        raise ConfigError(f"{name} has to be from 1 to {highest}, not {value}")
    return value


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").strip().lower()
    if text in ("", "0", "false", "no"):
        return False
    if text in ("1", "true", "yes"):
        return True
    raise ConfigError(f"{name} has to be true or false, not {text!r}")


def _level(environ: Mapping[str, str]) -> str:
    level = (environ.get("CELERYTRAIL_SINK_LOG_LEVEL") or "info").lower()
    if level not in ("debug", "info", "warning", "error", "critical"):
        raise ConfigError(
            "CELERYTRAIL_SINK_LOG_LEVEL has to be debug, info, warning, error or critical, "
            f"not {level!r}"
        )
    return level
