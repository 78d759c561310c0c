"""What all handlers of this process share: settings, role, spool writer, ids, group spans."""

from __future__ import annotations

import time
from typing import Any

from celerytrail.exporter.agent.chord_runs import ChordWatch
from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.group_spans import GroupSpans
from celerytrail.exporter.agent.guard import Guard
from celerytrail.exporter.agent.ids import Ids
from celerytrail.exporter.agent.pending import PendingPublishes
from celerytrail.exporter.agent.role import Role
from celerytrail.exporter.agent.shipper_process import ShipperProcess
from celerytrail.exporter.agent.task_rules import TaskRules
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.writer import SpoolWriter


class Recorder:
    """The agent of one process. ``write`` appends a record and never raises."""

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self.guard = Guard()
        self.role = Role(config)
        self.ids = Ids()
        self.groups = GroupSpans()
        self.pending = PendingPublishes()
        self.task_rules = TaskRules()
        self.chords = ChordWatch(self.pending)
        self.shipper = ShipperProcess(config, self.guard)
        self.writer = SpoolWriter(
            config.spool_dir,
            self.role.origin,
            max_bytes=config.spool_max_bytes,
            on_trouble=self._cannot_write,
        )
        self.write = self.writer.write

    def note(self, step: str, *fields: Any) -> None:
        """Record a step that happens now, by name; for everything that is not in a hot path."""
        self.write(STEP_BY_NAME[step].code, time.time_ns(), fields)

    def close(self) -> None:
        """End the stream of this process with its goodbye."""
        self.writer.close()

    def after_fork(self) -> None:
        """Forget what belongs to the parent. The writer resets itself."""
        self.ids.after_fork()
        self.role.after_fork()
        self.pending.clear()
        self.shipper.after_fork()

    def _cannot_write(self, exc: Exception) -> None:
        self.guard.warn(
            "spool",
            "celerytrail: cannot write to the spool, tasks run on unrecorded (%d lost so far): %s",
            self.writer.lost,
            exc,
        )
