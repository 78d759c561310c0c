"""When the shipper says how it does: for each deployment it ships, now and then, and at its end.

A heartbeat travels through the spool like everything else. While the receiver is away none is
written: the shipper waits for its answer, and its silence says so.
"""

from __future__ import annotations

import time
from pathlib import Path

from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.shipper.delivery import Delivery
from celerytrail.exporter.shipper.own_streams import Heartbeat, OwnStreams, deployment_of
from celerytrail.exporter.spool.backlog import read_backlog
from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.errors import SpoolDirectoryError

HEARTBEAT_SECONDS = 30.0

_HEARTBEAT = STEP_BY_NAME["shipper_heartbeat"]


class Heartbeats:
    """The heartbeats of one shipper. The first one follows the first delivery for a deployment.

    One of a deployment is written only when the one before it was delivered, so they do not pile up.
    """

    def __init__(self, directory: Path, own: OwnStreams, delivery: Delivery) -> None:
        self._directory = directory
        self._own = own
        self._delivery = delivery
        self._due: dict[Deployment, float] = {}
        self._written: dict[Deployment, float] = {}
        self._on_their_way: set[Deployment] = set()

    def ships_for(self, deployment: Deployment) -> None:
        """Take note of a deployment for which something was delivered."""
        self._due.setdefault(deployment, 0.0)

    def delivered(self, chunk: Chunk) -> None:
        """Take note of records of the shipper's own that were delivered."""
        if any(item.record.step is _HEARTBEAT for item in chunk.records):
            self._on_their_way.discard(deployment_of(chunk.header))

    def beat(self, now: float, *, last: bool = False) -> None:
        """Write the heartbeats that are due at ``now``; the ``last`` one of each is always due.

        It does not raise: one that cannot be measured or written is left out.
        """
        due = [
            deployment
            for deployment, at in self._due.items()
            if last or (now >= at and deployment not in self._on_their_way)
        ]
        if not due:
            return
        try:
            backlog = read_backlog(self._directory, besides=self._own.stream_ids())
        except SpoolDirectoryError:
            return
        lag_ms = backlog.lag_ms(time.time_ns())
        rejected = sum(self._delivery.counts.rejected.values())
        for deployment in due:
            heartbeat = Heartbeat(
                spool_bytes=backlog.bytes,
                spool_segments=backlog.segments,
                lag_ms=lag_ms,
                rejected=rejected,
                delivery_error=self._delivery.error_since(self._written.get(deployment, 0.0)),
            )
            self._due[deployment] = now + HEARTBEAT_SECONDS
            if self._own.beat(deployment, heartbeat):
                self._written[deployment] = now
                self._on_their_way.add(deployment)
