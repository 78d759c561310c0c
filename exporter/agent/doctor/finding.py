"""What a check of the doctor found: how bad it is, what it means, what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.shipper_settings import ShipperSettings
from celerytrail.exporter.spool.backlog import Backlog

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)
"""Worst first. An error loses tasks or records, a warning may; info is good to know and no fault."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. ``found`` names setting and value, never a secret."""

    severity: str
    found: str
    means: str
    todo: str
    check: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Recording:
    """What the checks of the recorder look at."""

    config: AgentConfig
    shipper: ShipperSettings
    backlog: Backlog
    shipper_running: bool


AppCheck = Callable[[Any], Iterator[Finding]]
"""Looks at a Celery app, whose tasks are loaded."""

RecorderCheck = Callable[[Recording], Iterator[Finding]]
"""Looks at the recorder's settings, spool and shipper."""

AppAndRecorderCheck = Callable[[Any, Recording], Iterator[Finding]]
"""Looks at a Celery app and at what was recorded of it."""
