"""Everything the sink can be told, read from the environment once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from celerytrail.exporter.server_settings import (
    SettingError,
    dsn_setting,
    flag_setting,
    integer_setting,
    level_setting,
)
from celerytrail.exporter.sink.body import BodyBounds
from celerytrail.exporter.sink.errors import SinkError
from celerytrail.exporter.sink.verification import VerificationConfig

DEFAULT_BIND = "127.0.0.1:4318"
MIB = 1024 * 1024
HIGHEST_CHAIN = 63
"""The last chain that ``celerytrail.choose_chain()`` accepts."""


class ConfigError(SinkError):
    """A setting is missing or wrong; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """Settings of one sink.

    ``dsn`` is a libpq connection string of the role celerytrail_sink; it is left out of repr.
    ``threads`` handle requests; ``max_requests`` of them may be OTLP requests at a time, so that
    refusals and health checks always find one. ``max_bytes_in_flight`` counts inflated bodies.
    ``verification`` is None where the sink runs none. ``chains`` are shared out among the
    connections; None leaves the choice to the principal.
    """

    dsn: str = field(repr=False)
    bind: str = DEFAULT_BIND
    workers: int = 1
    threads: int = 16
    max_requests: int = 8
    max_bytes_in_flight: int = 48 * MIB
    body_bounds: BodyBounds = field(default_factory=BodyBounds)
    connections: int = 4
    chains: range | None = None
    database_timeout_seconds: float = 5.0
    start_timeout_seconds: float = 10.0
    graceful_seconds: int = 25
    wait_for_database: bool = False
    log_level: str = "info"
    verification: VerificationConfig | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> SinkConfig:
        """Read ``CELERYTRAIL_DSN`` (or ``CELERYTRAIL_DSN_FILE``), ``_SINK_*`` and ``_VERIFY_*``.

        Raises ConfigError naming the variable.
        """
        try:
            return cls._read(environ)
        except SettingError as exc:
            raise ConfigError(str(exc)) from exc

    @classmethod
    def _read(cls, environ: Mapping[str, str]) -> SinkConfig:
        bounds = BodyBounds(
            max_bytes=integer_setting(
                environ, "CELERYTRAIL_SINK_MAX_BODY_BYTES", 4 * MIB, 64 * MIB
            ),
            max_inflated_bytes=integer_setting(
                environ, "CELERYTRAIL_SINK_MAX_INFLATED_BYTES", 32 * MIB, 512 * MIB
            ),
            seconds=float(integer_setting(environ, "CELERYTRAIL_SINK_BODY_SECONDS", 30, 600)),
        )
        max_requests = integer_setting(environ, "CELERYTRAIL_SINK_MAX_REQUESTS", 8, 1000)
        return cls(
            dsn=dsn_setting(environ),
            bind=environ.get("CELERYTRAIL_SINK_BIND") or DEFAULT_BIND,
            workers=integer_setting(environ, "CELERYTRAIL_SINK_WORKERS", 1, 64),
            threads=integer_setting(environ, "CELERYTRAIL_SINK_THREADS", max_requests + 8, 2000),
            max_requests=max_requests,
            max_bytes_in_flight=integer_setting(
                environ, "CELERYTRAIL_SINK_MAX_BYTES_IN_FLIGHT", 48 * MIB, 4096 * MIB
            ),
            body_bounds=bounds,
            connections=integer_setting(environ, "CELERYTRAIL_SINK_CONNECTIONS", 4, 100),
            chains=_chains(environ),
            database_timeout_seconds=float(
                integer_setting(environ, "CELERYTRAIL_SINK_DATABASE_SECONDS", 5, 120)
            ),
            start_timeout_seconds=float(
                integer_setting(environ, "CELERYTRAIL_SINK_START_SECONDS", 10, 3600)
            ),
            graceful_seconds=integer_setting(environ, "CELERYTRAIL_SINK_GRACEFUL_SECONDS", 25, 600),
            wait_for_database=flag_setting(environ, "CELERYTRAIL_SINK_WAIT_FOR_DATABASE"),
            log_level=level_setting(environ, "CELERYTRAIL_SINK_LOG_LEVEL"),
            verification=VerificationConfig.from_env(environ),
        )


def _chains(environ: Mapping[str, str]) -> range | None:
    """Return the chains that the connections write to, None where no variable names any."""
    if not (environ.get("CELERYTRAIL_SINK_CHAIN") or environ.get("CELERYTRAIL_SINK_CHAINS")):
        return None
    first = integer_setting(environ, "CELERYTRAIL_SINK_CHAIN", 0, HIGHEST_CHAIN, lowest=0)
    count = integer_setting(environ, "CELERYTRAIL_SINK_CHAINS", 1, HIGHEST_CHAIN + 1)
    if first + count - 1 > HIGHEST_CHAIN:
        raise SettingError(
            f"CELERYTRAIL_SINK_CHAIN {first} with CELERYTRAIL_SINK_CHAINS {count} goes beyond chain"
            f" {HIGHEST_CHAIN}: lower one of them"
        )
    return range(first, first + count)
