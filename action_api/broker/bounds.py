"""How long a broker is waited for, and how much is asked of it at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerBounds:
    """``connect_seconds`` bounds the opening of a connection, ``total_seconds`` it and what is done.

    ``control_seconds`` is how long replies of workers are waited for. At most ``connections`` are
    open to one deployment's broker at a time; who comes later waits, within the total.
    """

    connect_seconds: float = 3.0
    total_seconds: float = 10.0
    control_seconds: float = 2.0
    connections: int = 8
