"""The shop of the demo as processes: two workers, beat and a publisher."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from celerytrail.examples.demo.parts import Parts
from celerytrail.examples.shop.app import MAIL, ORDERS, PAYMENTS, WAREHOUSE
from celerytrail.examples.shop.record import read_record

PUBLISHER, BEAT = "publisher", "beat"
_WORKERS = {"front": (ORDERS, PAYMENTS), "back": (WAREHOUSE, MAIL)}
_CELERY = (sys.executable, "-m", "celery", "-A", "celerytrail.examples.shop.app")


class Shop:
    """An ordinary Celery application with nothing of celerytrail in it, and customers."""

    def __init__(
        self,
        parts: Parts,
        directory: Path,
        broker_url: str,
        result_backend: str,
        agent_settings: Mapping[str, str],
    ) -> None:
        self._parts = parts
        self._directory = directory
        self._record = directory / "record.jsonl"
        self._settings = {
            **agent_settings,
            "CELERY_BROKER_URL": broker_url,
            "CELERY_RESULT_BACKEND": result_backend,
            "SHOP_RECORD": str(self._record),
        }

    def start_workers(self) -> None:
        """Start two workers with queues of their own, and wait until they are ready."""
        for worker, queues in _WORKERS.items():
            name = f"worker {worker}"
            arguments = ["-n", f"{worker}@%h", "-Q", ",".join(queues), "-c", "2", "-l", "INFO"]
            self._parts.start(
                name,
                [*_CELERY, "worker", *arguments],
                self._settings,
                ready=partial(self._parts.says, name, " ready."),
            )

    def start_beat(self) -> None:
        """Start the clock of the shop."""
        schedule = str(self._directory / "beat-schedule")
        self._parts.start(BEAT, [*_CELERY, "beat", "-s", schedule, "-l", "INFO"], self._settings)

    def start_publisher(self, orders: int | None, every_seconds: float) -> None:
        """Start the customers."""
        module = "celerytrail.examples.demo.publisher"
        count = [] if orders is None else ["--orders", str(orders)]
        self._parts.start(
            PUBLISHER,
            [sys.executable, "-m", module, "--every", str(every_seconds), *count],
            self._settings,
        )

    def stop_sending(self) -> None:
        """Stop whoever sends by himself: customers and beat."""
        self._parts.stop(PUBLISHER, BEAT)

    def stop_workers(self) -> None:
        """Stop the workers warmly: what they have begun they finish."""
        self._parts.stop(*(f"worker {worker}" for worker in _WORKERS))

    def sent(self) -> set[str]:
        """Return the ids of the tasks that the shop itself wrote down."""
        return {entry.id for entry in read_record(self._record)}
