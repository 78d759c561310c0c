"""How long an app's broker waits before it hands a message that nobody acknowledged to another worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REDIS_LIKE = ("redis", "rediss", "sentinel", "valkey", "valkeys")
_DEFAULT_SECONDS = {**dict.fromkeys(REDIS_LIKE, 3600.0), "sqs": 1800.0}
"""As kombu's transports have it; other brokers wait as long as the connection lives."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The visibility timeout in seconds, and as it is told to a person."""

    seconds: float
    shown: str


def broker_patience(app: Any) -> Patience | None:
    """Return the visibility timeout of an app's broker, None where it has none."""
    default = _DEFAULT_SECONDS.get(_scheme(app))
    if default is None:
        return None
    told = (app.conf.broker_transport_options or {}).get("visibility_timeout")
    seconds = float(told or default)
    shown = f"visibility_timeout is {seconds:g} s"
    return Patience(seconds, shown if told else f"{shown}, the default")


def _scheme(app: Any) -> str:
    url = app.conf.broker_url or app.conf.broker_write_url or ""
    first = url if isinstance(url, str) else next(iter(url), "")
    return str(first).partition("://")[0].partition("+")[0].lower()
