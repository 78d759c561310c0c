"""Plays all scenarios of a target, one worker after the other, and reads what the ledger says of them."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.pipeline import Pipeline, Program
from tests.celery_versions import interpreter
from tests.scenarios.expected import Expected
from tests.scenarios.table import PREFORK, Act, Scenario, Target, played_on
from tests.waiting import wait_until

APPS = Path(__file__).parent / "apps"
SETTLED_SECONDS = 240.0
ENDED_SECONDS = 240.0
IMPATIENT_SECONDS = 5.0

_SPANS = """
    SELECT task_id, step, process_kind, pid FROM celerytrail.spans
    WHERE service = %s ORDER BY event_time
"""
_TASKS = "SELECT task_id, state, inferred, finished_at FROM celerytrail.tasks WHERE service = %s"
_RUNS = """
    SELECT task_id, state, inferred, finished_at FROM celerytrail_views.runs
    WHERE service = %s ORDER BY started_at, run_id
"""
_STREAMS = """
    SELECT process_kind, worker, pid, state, missing FROM celerytrail_views.streams
    WHERE service = %s
"""
_CHILDREN = "SELECT attributes FROM celerytrail.spans WHERE service = %s AND step = 'child_exited'"
_FAILED = """
    SELECT task_id, attributes FROM celerytrail.spans
    WHERE service = %s AND step = 'failed' AND process_kind = 'worker'
"""


@dataclass(slots=True)
class Played:
    """What became of a target's scenarios: the ledger's words, and those of the workers."""

    target: Target
    ids: dict[str, str | None] = field(default_factory=dict)
    found: dict[str, Expected] = field(default_factory=dict)
    inferred: dict[str, bool] = field(default_factory=dict)
    runs_inferred: dict[str, list[bool]] = field(default_factory=dict)
    finished: dict[str, bool] = field(default_factory=dict)
    ran_in: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    streams: list[dict[str, Any]] = field(default_factory=list)
    children: list[dict[str, Any]] = field(default_factory=list)
    lost_children: dict[str, dict[str, Any]] = field(default_factory=dict)
    killed: list[int] = field(default_factory=list)
    logs: str = ""


class Director:
    """Starts the workers of a target and ends them, each act with one of its own."""

    def __init__(self, pipeline: Pipeline, target: Target) -> None:
        self._pipeline = pipeline
        self._target = target
        self._played = Played(target)
        self._folder = pipeline.directory / "scenarios"
        self._patience = SETTLED_SECONDS

    def play(self) -> Played:
        """Play every act, wait until the ledger has what is expected, or long enough, and read it."""
        self._first_worker()
        if self._target.pool == PREFORK:
            self._cold_worker()
            self._held_up_worker()
            self._exhausted_worker()
        self._killed_worker()
        self._settle()
        for task_id in filter(None, self._played.ids.values()):
            self._release(task_id)  # what holds a child that was left alone
        self._played.logs = "\n".join(
            program.log.read_text(errors="replace") for program in self._pipeline.programs
        )
        return self._played

    def _first_worker(self) -> None:
        worker = self._worker("first")
        self._publish(played_on(self._target, Act.RUNNING))
        again = played_on(self._target, Act.REDELIVERY)
        if again:
            self._settle(worker)
            self._publish(again)
        warm = played_on(self._target, Act.WARM)
        if warm:
            self._publish(warm)
            for name in ("warm shutdown, prefetched", "warm shutdown, ETA"):
                received = f"{self._id(name)}] received"
                wait_until(lambda text=received: worker.said(text), name)  # type: ignore[misc]
            worker.process.send_signal(signal.SIGTERM)
            wait_until(lambda: worker.said("arm shutdown"), "the worker has heard it")
            self._release(self._id("warm shutdown, running"))
            self._release((self._folder / "filler").read_text())
            worker.process.wait(ENDED_SECONDS)
        else:
            self._settle(worker)
            worker.stop()

    def _cold_worker(self) -> None:
        worker = self._worker("cold")
        wait_until(
            lambda: all(
                worker.said(f"{self._played.ids[one.name]}] succeeded")
                for one in played_on(self._target, Act.WARM)
                if one.name != "warm shutdown, running"
            ),
            "what the first worker gave back has run",
        )
        self._publish(played_on(self._target, Act.COLD))
        worker.process.send_signal(signal.SIGQUIT)
        worker.process.wait(ENDED_SECONDS)
        self._release(self._id("cold shutdown, acks_late"))

    def _held_up_worker(self) -> None:
        worker = self._worker("heldup")
        self._publish(played_on(self._target, Act.PUT_BACK))
        self._settle(worker)
        worker.stop()

    def _exhausted_worker(self) -> None:
        worker = self._worker("exhausted")
        self._publish(played_on(self._target, Act.MEMORY))
        if self._target.celery == "5.2":
            self._settle(worker)
            worker.stop()
        else:
            worker.process.wait(ENDED_SECONDS)

    def _killed_worker(self) -> None:
        recycling = self._target.pool == PREFORK
        worker = self._worker("killed", *(("--max-tasks-per-child", "1") if recycling else ()))
        self._publish(played_on(self._target, Act.KILLED))
        if recycling:
            ended = f"{self._id('max_tasks_per_child')}] succeeded"
            wait_until(lambda: worker.said(ended), "the only task of a child has ended")
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        self._played.killed = [worker.pid, *map(int, children)]
        worker.stop(signal.SIGKILL)

    def _worker(self, name: str, *arguments: str) -> Program:
        return self._pipeline.start_worker(
            "-P", self._target.pool, *arguments, name=name, SCENARIO_FOLDER=str(self._folder),
            SCENARIO_LIMITS="enforced" if self._target.pool == PREFORK else "",
        )  # fmt: skip

    def _id(self, name: str) -> str:
        return str(self._played.ids[name])

    def _release(self, task_id: str) -> None:
        (self._folder / f"release-{task_id}").touch()

    def _publish(self, scenarios: Sequence[Scenario]) -> None:
        # What has to be caught before it is run, or expires, goes first: the queue is still empty.
        urgent = sorted(scenarios, key=lambda one: not one.name.startswith(("revoke", "expire")))
        lines = self._pipeline.run(
            "publish_scenarios.py",
            json.dumps([one.name for one in urgent]),
            SCENARIO_FOLDER=str(self._folder),
        )
        self._played.ids.update({line["name"]: line["id"] for line in lines})

    def _settle(self, worker: Program | None = None) -> None:
        """Wait until the ledger says what is expected of all that was published, or long enough."""
        wanted = {
            one.name: one.on(self._target)
            for one in played_on(self._target)
            if one.name in self._played.ids
        }
        deadline = time.monotonic() + self._patience
        while not self._read(wanted):
            if time.monotonic() > deadline:
                self._patience = IMPATIENT_SECONDS  # something is wrong, and stays so
                return
            if worker is not None and not worker.alive():
                return
            time.sleep(0.2)

    def _read(self, wanted: dict[str, Expected]) -> bool:
        with self._pipeline.snapshot() as rows:
            return self._read_from(rows, wanted)

    def _read_from(
        self, rows: Callable[..., list[dict[str, Any]]], wanted: dict[str, Expected]
    ) -> bool:
        service = str(self._target)
        tasks = {row["task_id"]: row for row in rows(_TASKS, service)}
        runs, steps = rows(_RUNS, service), rows(_SPANS, service)
        played = self._played
        for name, task_id in played.ids.items():
            task = tasks.get(task_id) if task_id else None
            own = [
                row["step"]
                for row in steps
                if (row["task_id"] == task_id if task_id else row["step"] == "malformed")
            ]
            played.found[name] = Expected(
                task and task["state"],
                tuple(row["state"] for row in runs if task_id and row["task_id"] == task_id),
                tuple(sorted(own)),
            )
            played.ran_in[name] = [
                (row["process_kind"], row["pid"])
                for row in steps
                if task_id and row["task_id"] == task_id and row["step"] == "started"
            ]
            played.runs_inferred[name] = [
                row["inferred"] for row in runs if task_id and row["task_id"] == task_id
            ]
            played.inferred[name] = bool(task and task["inferred"])
            played.finished[name] = bool(task and task["finished_at"])
        played.streams = rows(_STREAMS, service)
        played.children = [row["attributes"] for row in rows(_CHILDREN, service)]
        played.lost_children = {row["task_id"]: row["attributes"] for row in rows(_FAILED, service)}
        silent = {row["pid"] for row in played.streams if row["state"] == "unterminated"}
        return set(played.killed[:1]) <= silent and all(
            same(played.found.get(name), one) for name, one in wanted.items()
        )


def same(found: Expected | None, expected: Expected) -> bool:
    """Say whether a scenario has come to what is expected; the order of steps does not count."""
    return (
        found is not None
        and (found.state, found.runs) == (expected.state, expected.runs)
        and Counter(found.steps) == Counter(expected.steps)
    )


class Stage:
    """One ledger and one sink for all targets; each is played when it is first asked for, once."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._played: dict[Target, Played | BaseException] = {}

    def played(self, target: Target) -> Played:
        """Return what became of a target's scenarios. Raises what went wrong, each time again."""
        python = interpreter(target.celery)
        if target not in self._played:
            try:
                self._played[target] = self._play(target, python)
            except (AssertionError, OSError) as exc:
                self._played[target] = exc
        found = self._played[target]
        if isinstance(found, Played):
            return found
        raise AssertionError(f"{target} could not be played: {found}") from found

    def _play(self, target: Target, python: str) -> Played:
        folder = self._pipeline.directory / str(target)
        folder.mkdir()
        with EmbeddedValkey(folder / "valkey") as broker, self._of(target, folder) as own:
            own.python, own.broker_url = python, broker.url
            return Director(own, target).play()

    @contextmanager
    def _of(self, target: Target, folder: Path) -> Iterator[Pipeline]:
        service = str(target)
        own = replace(
            self._pipeline,
            directory=folder,
            token=self._pipeline.make_token("shop", service, "test"),
            apps=APPS,
            app="scenario_app",
            programs=[],
            shipper_settings={"CELERYTRAIL_SERVICE": service},
        )
        try:
            yield own
        finally:
            own.close()
