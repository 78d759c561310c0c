"""What the demo was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of ``celerytrail demo``.

    ``orders`` is how many the workload sends, None for a steady stream, one each ``every_seconds``.
    ``dsn``, ``broker_url`` and ``postgres_bin`` replace what is embedded. ``timeout_seconds``
    bounds the wait until everything of a bounded run is stored. ``grafana_url`` and ``docker`` say
    what there is to look at dashboards with.
    """

    directory: Path
    orders: int | None
    every_seconds: float
    as_json: bool
    timeout_seconds: float
    dsn: str | None = None
    broker_url: str | None = None
    postgres_bin: str | None = None
    grafana_url: str | None = None
    docker: bool = False
