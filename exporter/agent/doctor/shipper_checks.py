"""The way out of the spool as the doctor sees it: is it on, does anybody ship, is there a token, are
there keys.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from celerytrail.exporter.agent.doctor.finding import ERROR, INFO, WARNING, Finding, Recording
from celerytrail.exporter.agent.shipper_log import last_lines
from celerytrail.exporter.agent.status import duration

LATE_SECONDS = 300.0
_REJECTED = "rejected"


def disabled(recording: Recording) -> Iterator[Finding]:
    """Find an agent that is told not to record."""
    if recording.config.disabled:
        yield Finding(
            WARNING,
            "CELERYTRAIL_DISABLED is set",
            "processes with this environment are not recorded",
            "unset it, or set it to 0",
        )


def shipper(recording: Recording) -> Iterator[Finding]:
    """Find records that nobody delivers."""
    config, oldest = recording.config, recording.backlog.oldest_unix_nano
    seconds = 0.0 if oldest is None else (time.time_ns() - oldest) / 1e9
    waits = f", records wait for {duration(seconds)}" if oldest is not None else ""
    said = last_lines(config.spool_dir, 1)
    log = f"; its log ends with: {said[0]}" if said else ""
    if not recording.shipper_running and not config.spawn_shipper:
        yield Finding(
            ERROR if waits else WARNING,
            f"no shipper runs and CELERYTRAIL_SHIPPER is off{waits}{log}",
            "workers and publishers start none, so nothing leaves this host",
            "run celerytrail ship as a service on this host, or unset CELERYTRAIL_SHIPPER",
        )
    elif seconds > LATE_SECONDS:
        runs = "the shipper runs" if recording.shipper_running else "no shipper runs"
        yield Finding(
            WARNING,
            f"{runs}{waits}{log}",
            "records are kept, and nobody sees them",
            "look at shipper.log in the spool, at endpoint and token; celerytrail ship --once says why",
        )


def rejected(recording: Recording) -> Iterator[Finding]:
    """Find batches that the receiver refused for good."""
    try:
        count = len(os.listdir(recording.config.spool_dir / _REJECTED))
    except OSError:
        return
    if count:
        yield Finding(
            WARNING,
            f"{count} batches lie in {recording.config.spool_dir / _REJECTED}",
            "the receiver refused them for good: their events are missing in the ledger",
            "see shipper.log; when you know why, remove them",
        )


def token(recording: Recording) -> Iterator[Finding]:
    """Find that a sink would refuse what is sent, or that the shipper cannot begin."""
    settings = recording.shipper
    if settings.token_given and settings.token_file:
        yield Finding(
            ERROR,
            "CELERYTRAIL_TOKEN and CELERYTRAIL_TOKEN_FILE are both set",
            "the shipper does not begin",
            "keep one of them",
        )
    elif settings.token_file:
        wrong = _unreadable(settings.token_file)
        if wrong:
            yield Finding(
                ERROR,
                f"CELERYTRAIL_TOKEN_FILE={settings.token_file} {wrong}",
                "the shipper does not begin",
                "write the token into it, readable for the user of the workers",
            )
    elif not settings.token_given and not settings.headers_given:
        yield Finding(
            WARNING,
            "no token is set",
            "a sink answers 401 and records wait; only a receiver that asks for none takes them",
            "celerytrail tokens create, then CELERYTRAIL_TOKEN or CELERYTRAIL_TOKEN_FILE",
        )


def sealing(recording: Recording) -> Iterator[Finding]:
    """Find bodies that are not kept, so that their tasks cannot be sent again as they were."""
    settings = recording.shipper
    files = {
        "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE": settings.seal_public_key_file,
        "CELERYTRAIL_SEAL_PSK_FILE": settings.seal_psk_file,
    }
    missing = [name for name, path in files.items() if path is None]
    if len(missing) == len(files):
        yield Finding(
            WARNING if settings.redaction_added else INFO,
            "there are no keys for sealing"
            + (", and rules of redaction were added" if settings.redaction_added else ""),
            "a message in which redaction hides anything is not kept: retry of such a task is refused",
            "celerytrail keys generate, then CELERYTRAIL_SEAL_PUBLIC_KEY_FILE and "
            "CELERYTRAIL_SEAL_PSK_FILE, if tasks are to be retried",
        )
        return
    faults = [f"{name} is not set" for name in missing]
    faults += [
        f"{name}={path} {wrong}"
        for name, path in files.items()
        if path is not None and (wrong := _unreadable(path))
    ]
    if not faults and find_spec("cryptography") is None:
        faults = ["keys for sealing are set and the package cryptography is missing"]
    for fault in faults:
        yield Finding(
            ERROR,
            fault,
            "the shipper does not begin, records wait",
            "celerytrail keys generate makes both files; pip install 'celerytrail[seal]'",
        )


def _unreadable(path: Path) -> str:
    # Says what is wrong with a file that has to hold something; nothing of it is kept or shown.
    try:
        return "" if path.read_bytes().strip() else "is empty"
    except OSError as exc:
        return f"cannot be read: {exc.strerror or type(exc).__name__}"
