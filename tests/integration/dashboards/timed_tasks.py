"""Tasks at moments that a test chooses, in seconds after the beginning, written through the sink's ledger."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.integration.dashboards.recorded_shop import AT, RecordedShop
from tests.span_rows import nanoseconds, span_row

_STREAM = uuid.UUID("7e000000-0000-4000-8000-000000000001")


@dataclass
class TimedTasks:
    """Writes tasks and groups of one workflow."""

    shop: RecordedShop
    written: int = 0

    def task(
        self,
        task_id: str,
        sent: float | None,
        started: float | None = None,
        ended: float | None = None,
        *,
        end: str = "succeeded",
        attempt: int = 0,
        chain_length: int = 0,
        chain_left: int = 0,
        **columns: Any,
    ) -> None:
        """Record an attempt of a task; a moment that is None did not come."""
        seed = hashlib.sha256(f"{task_id}/{attempt}".encode()).digest()
        places = {"celery.chain.length": chain_length, "celery.chain.left": chain_left}
        said = {name: number for name, number in places.items() if number}
        steps: list[tuple[str, float | None, dict[str, Any]]] = [
            ("sent", sent, {"attributes": json.dumps(said)}),
            ("started", started, {"run_id": seed[8:16]}),
            (end, ended, {"run_id": seed[8:16] if started is not None else None}),
        ]
        common = {
            "task_id": task_id,
            "task_name": f"shop.{task_id.rstrip('0123456789')}",
            "root_id": task_id,
            "send_id": seed[:8],
            "sent_unix_nano": nanoseconds(at(sent or 0)),
            "retries": attempt,
            **columns,
        }
        if end == "failed":
            common.setdefault("exception_class", "ValueError")
        self._write(
            *(
                (step, moment, {**common, **own})
                for step, moment, own in steps
                if moment is not None
            )
        )

    def group(self, group_id: str, **columns: Any) -> None:
        """Record the span of a group or chord; ``kind`` and ``size`` are what it says of itself."""
        said = {
            f"celery.group.{name}": columns.pop(name)
            for name in ("kind", "size")
            if name in columns
        }
        self._write(
            (
                "group",
                0.0,
                {
                    "group_id": group_id,
                    "root_group_id": group_id,
                    "attributes": json.dumps(said),
                    **columns,
                },
            )
        )

    def _write(self, *steps: tuple[str, float, dict[str, Any]]) -> None:
        rows = []
        for step, moment, columns in steps:
            self.written += 1
            rows.append(span_row(self.written, step, stream=_STREAM, at=at(moment), **columns))
        self.shop.write(*rows)


def at(seconds: float) -> datetime:
    """Return a moment of the workflow."""
    return AT + timedelta(seconds=seconds)
