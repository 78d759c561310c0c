"""The shipper as a process: elected, logging to stderr, ending on a signal or when idle."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.errors import ShipperError, StoppedWaiting
from celerytrail.exporter.shipper.otlp_settings import LOGS, TRACES
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.shipper import Shipper
from celerytrail.exporter.shipper.transport import tls_context
from celerytrail.exporter.spool.directory import prepare_directory
from celerytrail.exporter.spool.election import LOCK_FILE, ShipperLock, shipper_signature
from celerytrail.exporter.spool.reader import SpoolReader

_log = logging.getLogger(__name__)

_LOCK_POLL_SECONDS = 0.5
_NICER = 10


def log_to_stderr() -> None:
    """Send what the shipper says to stderr, one line each, with the time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)sZ celerytrail shipper %(levelname)s %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("celerytrail.exporter")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def run_shipper(
    config: ShipperConfig,
    *,
    exit_when_idle: bool = False,
    wait_for_lock: bool = False,
    stay_for_writers: bool = False,
) -> None:
    """Be the shipper of ``config.spool`` until a signal, or until there is nothing to do.

    With ``stay_for_writers`` a signal makes it end when nobody writes any more, or when the time to
    drain is over.
    When another process is the shipper it returns at once, saying so, or waits for its end.
    Raises SpoolError or ShipperError when it cannot begin.
    """
    for endpoint in (config.traces, config.logs):
        if endpoint.url.startswith("https:"):
            tls_context(endpoint)  # what is wrong with the files is to be said now
    prepare_directory(config.spool)
    patience = Patience(drain_seconds=config.drain_seconds)
    lock = ShipperLock(config.spool)
    shipper: Shipper | None = None
    patience.stop_on_signals(lambda: shipper.transport.abort() if shipper else None)
    try:
        while True:
            if not lock.acquire():
                if not wait_for_lock:
                    _log.info("%s is shipped by another: %s", config.spool, signer(config.spool))
                    return
                _log.info("waits for the shipper of %s: %s", config.spool, signer(config.spool))
                while not lock.acquire(0.0):
                    if patience.stopping:
                        return
                    patience.wait(_LOCK_POLL_SECONDS)
            _sign(config.spool)
            _log.info("ships %s to %s", config.spool, config.traces.receiver)
            _be_nice(exit_when_idle)
            shipper = Shipper(config, patience)
            try:
                shipper.run(exit_when_idle=exit_when_idle, stay_for_writers=stay_for_writers)
            finally:
                shipper.close()
                lock.release()
            _say_counts(shipper)
            # Whoever began to write while this one held the lock has started no shipper.
            if patience.stopping or not exit_when_idle or _nothing_left(config.spool):
                return
    except StoppedWaiting:
        return
    finally:
        patience.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``ship_once`` delivered, and how many records it had to leave out."""

    spans: int
    payloads: int
    left_out: int


def ship_once(config: ShipperConfig, timeout_seconds: float) -> Outcome:
    """Deliver what is in the spool now, within a time.

    Raises DeliveryError saying what is in the way when not all of it was delivered, SpoolError or
    ShipperError when it cannot begin.
    """
    if not config.spool.is_dir():
        raise ShipperError(
            f"there is no spool directory {config.spool}: check CELERYTRAIL_SPOOL_DIR"
        )
    for endpoint in (config.traces, config.logs):
        if endpoint.url.startswith("https:"):
            tls_context(endpoint)
    prepare_directory(config.spool)
    patience = Patience(limit_seconds=timeout_seconds, drain_seconds=0.0, give_up=True)
    lock = ShipperLock(config.spool)
    try:
        while not lock.acquire(0.2):
            if _is_delivered(config.spool):
                _log.info("delivered by another shipper: %s", signer(config.spool))
                return Outcome(0, 0, 0)
            patience.wait(
                _LOCK_POLL_SECONDS,
                f"another shipper ({signer(config.spool)}) is at it and is not done",
            )
        _sign(config.spool)
        shipper = Shipper(config, patience)
        patience.stop_on_signals(shipper.transport.abort)
        try:
            shipper.drain()
        finally:
            shipper.close()
            lock.release()
        _say_counts(shipper)
        delivered = shipper.delivery.counts.delivered
        return Outcome(delivered[TRACES], delivered[LOGS], shipper.left_out)
    finally:
        patience.close()


def signer(spool: Path) -> str:
    """Return who holds, or last held, the shipper's lock, as it wrote into the file."""
    return shipper_signature(spool) or "unknown process"


def _sign(spool: Path) -> None:
    try:
        (spool / LOCK_FILE).write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    except OSError as exc:
        _log.debug("%s cannot be signed: %s", spool / LOCK_FILE, exc.strerror)


def _is_delivered(spool: Path) -> bool:
    reader = SpoolReader(spool)
    reader.refresh()
    return reader.everything_acknowledged()


def _nothing_left(spool: Path) -> bool:
    reader = SpoolReader(spool)
    reader.refresh()
    return reader.everything_acknowledged() and not reader.has_living_writer()


def _be_nice(started_by_worker: bool) -> None:
    # Beside the tasks of a worker; a service has its own settings for that.
    if started_by_worker:
        try:
            os.nice(_NICER)
        except OSError as exc:
            _log.debug("cannot be nicer: %s", exc.strerror)


def _say_counts(shipper: Shipper) -> None:
    counts = shipper.delivery.counts
    _log.info(
        "delivered %d spans and %d payloads; %d spans and %d payloads were refused for good",
        counts.delivered[TRACES],
        counts.delivered[LOGS],
        counts.rejected[TRACES],
        counts.rejected[LOGS],
    )
