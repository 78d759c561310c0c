"""What the verification beside a sink found, as gauges."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from celerytrail.exporter.sink.verification import read_status


class VerificationMetrics(Collector):
    """Reads the status file each time metrics are asked for; every worker process gives the same."""

    def __init__(self, status_file: Path) -> None:
        self._status_file = status_file

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; none before the verification was started."""
        status = read_status(self._status_file)
        if status is None:
            return
        verified = GaugeMetricFamily(
            "celerytrail_sink_verified_n",
            "Number of the last block of a chain up to which it was found in order.",
            labels=["chain"],
        )
        for chain, n in sorted(status.verified.items()):
            verified.add_metric([str(chain)], n)
        yield verified
        yield GaugeMetricFamily(
            "celerytrail_sink_verification_age_seconds",
            "Time since the last verification ended, whatever it found; since the start before it.",
            value=max(0.0, time.time() - status.at),
        )
        yield GaugeMetricFamily(
            "celerytrail_sink_verification_broken",
            "1 when the ledger was found broken and no full verification since found it in order.",
            value=float(status.broken),
        )
        if status.anchored is not None:
            yield GaugeMetricFamily(
                "celerytrail_sink_verification_anchored",
                "1 when the last verification agreed with a checkpoint or head kept outside for each chain.",
                value=float(status.anchored),
            )
