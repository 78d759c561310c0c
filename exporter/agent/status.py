"""What ``celery trail status`` shows: whether this environment records, and what waits where."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.shipper_log import last_lines
from celerytrail.exporter.agent.shipper_settings import ShipperSettings
from celerytrail.exporter.spool.backlog import read_backlog
from celerytrail.exporter.spool.directory import check_directory
from celerytrail.exporter.spool.election import LOCK_FILE, shipper_is_running, shipper_signature
from celerytrail.exporter.spool.errors import SpoolError

_LOG_LINES = 5
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Status:
    """What a process with these settings would do, and what lies in its spool just now.

    ``why_not`` is empty where it records. ``oldest_waiting_seconds`` is None where nothing waits.
    ``shipper`` is who ships, as it signed itself, empty where nobody does; its log is shown then.
    """

    recording: bool
    why_not: str
    app: str
    namespace: str
    service: str
    environment: str
    endpoint: str
    token: str
    sealing: bool
    capture_result: bool
    spool: str
    segments: int
    bytes: int
    max_bytes: int
    waiting_bytes: int
    oldest_waiting_seconds: float | None
    shipper_running: bool
    shipper: str
    shipper_is_spawned: bool
    shipper_log: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return asdict(self)


def read_status(config: AgentConfig, app: str, environ: Mapping[str, str] | None = None) -> Status:
    """Look at the spool and its shipper. Raises SpoolError when the directory cannot be read."""
    settings = ShipperSettings.of(config, environ)
    directory = config.spool_dir
    backlog = read_backlog(directory)
    running = (directory / LOCK_FILE).exists() and shipper_is_running(directory)
    why_not = "CELERYTRAIL_DISABLED is set" if config.disabled else ""
    if not why_not:
        try:
            check_directory(directory)
        except SpoolError as exc:
            why_not = str(exc)
    oldest = backlog.oldest_unix_nano
    return Status(
        recording=not why_not,
        why_not=why_not,
        app=app,
        namespace=config.deployment.namespace,
        service=config.deployment.service,
        environment=config.deployment.environment,
        endpoint=config.shown_endpoint,
        token=settings.token_shown,
        sealing=settings.seals,
        capture_result=config.capture_result,
        spool=str(directory),
        segments=backlog.segments,
        bytes=backlog.bytes,
        max_bytes=config.spool_max_bytes,
        waiting_bytes=backlog.waiting_bytes,
        oldest_waiting_seconds=None
        if oldest is None
        else max(0.0, (time.time_ns() - oldest) / _NANOSECONDS),
        shipper_running=running,
        shipper=shipper_signature(directory) if running else "",
        shipper_is_spawned=config.spawn_shipper,
        shipper_log=() if running else last_lines(directory, _LOG_LINES),
    )


def status_lines(status: Status) -> list[str]:
    """Return the status as lines for a person."""
    rows = {
        "recording": "yes" if status.recording else f"no: {status.why_not}",
        "app": status.app or "- (give it with celery -A)",
        "namespace": status.namespace or "-",
        "service": status.service,
        "environment": status.environment or "-",
        "endpoint": status.endpoint,
        "token": status.token,
        "sealing": "on" if status.sealing else "off: bodies that redaction changes are not kept",
        "results": "recorded" if status.capture_result else "not recorded",
        "spool": status.spool,
        "segments": f"{status.segments} ({status.bytes} of {status.max_bytes} bytes)",
        "waiting": _waiting(status),
        "shipper": _shipper(status),
    }
    lines = [f"{name + ':':<13}{value}" for name, value in rows.items()]
    if status.shipper_log and not status.shipper_running:
        lines.append("last lines of shipper.log:")
        lines += [f"  {line}" for line in status.shipper_log]
    return lines


def _waiting(status: Status) -> str:
    if status.oldest_waiting_seconds is None:
        return "nothing"
    return f"{status.waiting_bytes} bytes, the oldest for {duration(status.oldest_waiting_seconds)}"


def _shipper(status: Status) -> str:
    if status.shipper_running:
        return f"running ({status.shipper or 'unknown process'})"
    if status.shipper_is_spawned:
        return "not running: the next worker or publisher that records starts it"
    return "not running: CELERYTRAIL_SHIPPER is off, so celerytrail ship has to run"


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that it fills, for people."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
