"""What is done to the pipeline while it works: drawn by a seed, one after the other."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.exporter.spool.segment import parse_segment_name
from tests.acceptance.pipeline import Pipeline, Program
from tests.processes import alive, kill
from tests.spool_segments import read_segment

KINDS = {
    "sink SIGTERM": 2,
    "sink SIGKILL": 2,
    "database SIGKILL": 1,
    "shipper SIGKILL": 2,
    "child SIGKILL": 5,
}
LONGEST_OUTAGE_SECONDS = 4.0


@dataclass(slots=True)
class Faults:
    """Kills and stops parts of a pipeline, and starts again what nobody else would.

    ``pause`` waits a number of seconds, meanwhile showing how things stand.
    """

    pipeline: Pipeline
    workers: list[Program]
    chance: random.Random
    pause: Callable[[float], None]
    counts: Counter[str] = field(default_factory=Counter)
    killed: set[int] = field(default_factory=set)

    def one(self) -> None:
        """Do one fault of a drawn kind, and return when what was stopped runs again."""
        (kind,) = self.chance.choices(list(KINDS), list(KINDS.values()))
        part, _, name = kind.partition(" ")
        if {
            "sink": lambda: self._sink(signal.Signals[name]),
            "database": self._database,
            "shipper": self._shipper,
            "child": self._child,
        }[part]():
            self.counts[kind] += 1

    def lose_a_segment(self) -> int:
        """Delete a closed segment that nobody has shipped; return how many records it held.

        This is no fault that must be survived: it is how to see that a loss is told.
        """
        self._stop_sink(signal.SIGTERM)
        while (victim := self._closed_segment()) is None:
            self.pause(0.2)
        events = len(read_segment(victim).records)
        victim.unlink()
        self._shipper()  # it may have read the segment, and would deliver it from memory
        self.counts["segment lost"] += 1
        self.pipeline.start_sink()
        return events

    def _sink(self, signum: signal.Signals) -> bool:
        self._stop_sink(signum)
        self._outage()
        self.pipeline.start_sink()
        return True

    def _stop_sink(self, signum: signal.Signals) -> None:
        for program in self.pipeline.programs:
            if program.name == "sink" and program.alive():
                if signum == signal.SIGKILL:
                    # With its worker processes: its process group is its own.
                    os.killpg(program.pid, signum)
                    program.process.wait()
                else:
                    program.stop(signum)

    def _database(self) -> bool:
        server = self.pipeline.postgres
        os.kill(server.pid, signal.SIGKILL)
        self._outage()
        server.stop()
        server.start()
        return True

    def _shipper(self) -> bool:
        pids = self.pipeline.shipper_pids()
        kill(pids)
        return bool(pids)

    def _child(self) -> bool:
        children = [pid for worker in self.workers for pid in pool_children(worker.pid)]
        if not children:
            return False
        pid = self.chance.choice(sorted(children))
        self.killed.add(pid)
        kill([pid])
        return True

    def _outage(self) -> None:
        """Wait while something is away; half of the time a process is killed meanwhile."""
        seconds = self.chance.uniform(0.2, LONGEST_OUTAGE_SECONDS)
        self.pause(seconds / 2)
        if self.chance.random() < 0.5:
            kind = self.chance.choice(("shipper SIGKILL", "child SIGKILL"))
            if (self._shipper if kind.startswith("shipper") else self._child)():
                self.counts[kind] += 1
        self.pause(seconds / 2)

    def _closed_segment(self) -> Path | None:
        """Return a segment that is not its stream's newest, and of which nothing was delivered.

        What the sink took last is not acknowledged until the shipper has written that down.
        """
        streams: dict[str, list[Path]] = {}
        for path in sorted(self.pipeline.spool.glob("*.seg")):
            parsed = parse_segment_name(path.name)
            if parsed is not None:
                streams.setdefault(parsed[0], []).append(path)
        for paths in streams.values():
            for path in paths[:-1]:
                if not path.with_suffix(".ack").exists() and not self._delivered(path):
                    return path
        return None

    def _delivered(self, path: Path) -> bool:
        """Tell whether the ledger has anything of a segment."""
        header = read_segment(path).header
        return bool(
            self.pipeline.rows(
                "SELECT FROM celerytrail.spans WHERE stream_id = %s::uuid AND seq >= %s LIMIT 1",
                header.stream_id,
                header.first_seq,
            )
        )


def pool_children(pid: int) -> list[int]:
    """Return the processes of a prefork pool: children of the worker that are its own program."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        own = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    found = []
    for child in map(int, listed):
        with contextlib.suppress(OSError):
            if alive(child) and Path(f"/proc/{child}/cmdline").read_bytes() == own:
                found.append(child)
    return found
