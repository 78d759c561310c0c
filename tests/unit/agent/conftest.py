from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.install import install, uninstrument
from celerytrail.exporter.agent.recorder import Recorder
from celerytrail.exporter.spool.record import Record
from tests.spool_segments import read_records


class Recorded:
    """An agent that is in place, and what it wrote so far."""

    def __init__(self, config: AgentConfig, recorder: Recorder) -> None:
        self.config = config
        self.recorder = recorder

    def all(self) -> list[Record]:
        directory = self.config.spool_dir
        return read_records(directory) if directory.exists() else []

    def steps(self) -> list[str]:
        return [record.step.name for record in self.all() if record.step.subject != "stream"]

    def of(self, step: str) -> list[Record]:
        return [record for record in self.all() if record.step.name == step]


@pytest.fixture
def record_with(tmp_path: Path) -> Iterator[Callable[..., Recorded]]:
    def start(**environ: str) -> Recorded:
        config = AgentConfig.from_env(
            {"CELERYTRAIL_SHIPPER": "off", **environ}, spool_dir=tmp_path / "spool"
        )
        return Recorded(config, install(config))

    yield start
    uninstrument()


@pytest.fixture
def recorded(record_with: Callable[..., Recorded]) -> Recorded:
    return record_with()


@pytest.fixture
def app() -> Iterator[Celery]:
    made = Celery("unit", broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.task_default_queue = "unit"

    @made.task(shared=False, name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @made.task(shared=False, name="xsum")
    def xsum(numbers: list[int]) -> int:
        return sum(numbers)

    @made.task(shared=False, name="fail")
    def fail(text: Any) -> None:
        raise ValueError(text)

    made.finalize()
    yield made
    # The in-memory broker is one for the whole process.
    with made.connection_for_write() as connection:
        connection.default_channel.queue_declare("unit")
        connection.default_channel.queue_purge("unit")
    made.close()
