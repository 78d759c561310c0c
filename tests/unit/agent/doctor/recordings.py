"""What the checks of the recorder look at, made for tests."""

from __future__ import annotations

from pathlib import Path

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.doctor.finding import Recording
from celerytrail.exporter.agent.shipper_settings import ShipperSettings
from celerytrail.exporter.spool.backlog import Backlog

NOTHING = Backlog(0, 0, 0, None)


def recording(
    folder: Path, *, backlog: Backlog = NOTHING, shipper_running: bool = True, **environ: str
) -> Recording:
    """A recorder with this environment and nothing else, its spool in ``folder``."""
    settings = {"CELERYTRAIL_SPOOL_DIR": str(folder / "spool"), **environ}
    config = AgentConfig.from_env(settings)
    return Recording(config, ShipperSettings.of(config, settings), backlog, shipper_running)
