"""Every pool, and every way to start a worker: streams without gaps, goodbyes, the right names."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.spool.record import Record
from tests.celery_versions import CELERY_VERSIONS, NEWEST, interpreter, need_eventlet
from tests.integration.agent.place import (
    HERE,
    Place,
    children_of,
    end,
    threads_and_connections,
)
from tests.processes import alive
from tests.spool_segments import read_segments
from tests.waiting import DEADLINE_SECONDS, wait_until

POOLS = ("prefork", "threads", "solo", "gevent", "eventlet")
pytestmark = pytest.mark.slow
RECYCLED = 155  # billiard's exit code of a child that has run as many tasks as it may


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a spool: who wrote it, and all of its records."""

    kind: str
    worker: str
    pid: int
    records: list[Record]

    @property
    def steps(self) -> list[str]:
        return [record.step.name for record in self.records]

    @property
    def is_whole(self) -> bool:
        """Say whether no number is missing from the first record to the goodbye."""
        return (
            [record.seq for record in self.records] == [*range(1, len(self.records) + 1)]
            and self.steps[0] == "stream_opened"
            and self.steps[-1] == "stream_closed"
        )


def streams_of(spool: Path) -> list[Stream]:
    found: dict[str, Stream] = {}
    for segment in read_segments(spool):
        header = segment.header
        stream = found.setdefault(
            header.stream_id, Stream(header.process_kind, header.worker, header.pid, [])
        )
        stream.records.extend(segment.records)
    return [*found.values()]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, broker: EmbeddedValkey) -> Place:
    return Place(interpreter(NEWEST), tmp_path, broker)


def need(pool: str) -> None:
    if pool == "eventlet":
        need_eventlet()


def is_ready(place: Place) -> bool:
    return " ready." in place.log.read_text(errors="replace")


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_of_each_pool_tells_all_and_says_goodbye(place: Place, pool: str) -> None:
    need(pool)
    worker = place.start_celery("worker", "-P", pool, "-c", "2", "-l", "INFO", "-n", "node@here")
    try:
        place.wait_ready()
        ids = place.run("publish_adds.py", "6")
    finally:
        end(worker, signal.SIGTERM)
    assert worker.returncode == 0
    streams = streams_of(place.spool)
    assert all(stream.is_whole for stream in streams)
    assert {stream.worker for stream in streams} == {"node@here"}
    (main,) = [stream for stream in streams if stream.kind == "worker"]
    assert main.pid == worker.pid
    assert main.steps.count("received") == len(ids)
    where_it_runs = "child" if pool == "prefork" else "worker"
    assert {stream.kind for stream in streams} == {"worker", where_it_runs}
    for step in ("started", "succeeded"):
        told = [stream.kind for stream in streams for one in stream.steps if one == step]
        assert told == [where_it_runs] * len(ids)
    # Children that end because the worker does are nothing to tell of.
    assert "child_exited" not in main.steps


@pytest.mark.parametrize("pool", POOLS)
def test_the_recorder_adds_no_thread_and_no_connection(place: Place, pool: str) -> None:
    need(pool)
    seen = []
    for disabled in ("1", "0"):
        place.environ["CELERYTRAIL_DISABLED"] = disabled
        # One place: a pool of threads starts a second thread or not, as it happens.
        worker = place.start_celery("worker", "-P", pool, "-c", "1", "-l", "INFO")
        try:
            wait_until(lambda: is_ready(place), "the worker")
            place.run("publish_adds.py", "4")
            processes = [worker.pid, *children_of(worker.pid)]
            seen.append([threads_and_connections(pid, place.port) for pid in processes])
        finally:
            end(worker, signal.SIGTERM)
    without, with_recorder = seen
    assert with_recorder == without
    assert len(with_recorder) == (2 if pool == "prefork" else 1)
    assert [one["threads"] for one in with_recorder[1:]] == [1] * (len(with_recorder) - 1)
    assert [one["elsewhere"] for one in with_recorder] == [[]] * len(with_recorder)
    assert "succeeded" in place.steps()


@pytest.mark.parametrize("version", CELERY_VERSIONS)
def test_each_recycled_child_says_goodbye_and_is_told_of(
    tmp_path: Path, broker: EmbeddedValkey, version: str
) -> None:
    place = Place(interpreter(version), tmp_path, broker)
    worker = place.start_celery(
        "worker", "-c", "1", "-l", "INFO", "-n", "node@here", "--max-tasks-per-child", "2"
    )
    try:
        place.wait_ready()
        (first,) = children_of(worker.pid)
        place.run("publish_adds.py", "3")
        wait_until(lambda: "child_exited" in place.steps(), "the main process tells of the child")
    finally:
        end(worker, signal.SIGTERM)
    streams = streams_of(place.spool)
    assert all(stream.is_whole for stream in streams)
    (main,) = [stream for stream in streams if stream.kind == "worker"]
    children = [stream for stream in streams if stream.kind == "child"]
    assert first in {stream.pid for stream in children}
    assert {stream.worker for stream in streams} == {"node@here"}
    assert sorted(stream.steps.count("succeeded") for stream in children) == [1, 2]
    (told,) = [one for one in main.records if one.step.name == "child_exited"]
    assert (told.fields["child_pid"], told.fields["exit_code"]) == (first, RECYCLED)
    assert told.fields["signum"] is None
    assert told.fields["memory_bytes"] > 1024 * 1024


@pytest.mark.parametrize("version", CELERY_VERSIONS)
def test_a_child_that_somebody_kills_is_told_of_once(
    tmp_path: Path, broker: EmbeddedValkey, version: str
) -> None:
    place = Place(interpreter(version), tmp_path, broker)
    worker = place.start_worker()
    try:
        place.wait_ready()
        victim = children_of(worker.pid)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: "child_exited" in place.steps(), "the main process tells of the child")
        assert place.run("publish_adds.py", "2")
    finally:
        end(worker, signal.SIGTERM)
    streams = streams_of(place.spool)
    (main,) = [stream for stream in streams if stream.kind == "worker"]
    (told,) = [one for one in main.records if one.step.name == "child_exited"]
    assert (told.fields["child_pid"], told.fields["exit_code"]) == (victim, -signal.SIGKILL)
    assert told.fields["signum"] == signal.SIGKILL
    assert told.fields["memory_bytes"] > 1024 * 1024
    assert all(stream.is_whole for stream in streams if stream.pid != victim)


@pytest.mark.parametrize("version", [NEWEST, "5.2"])
def test_celery_multi(tmp_path: Path, broker: EmbeddedValkey, version: str) -> None:
    place = Place(interpreter(version), tmp_path, broker)
    pid_file = tmp_path / "worker.pid"

    def multi(what: str, *more: str) -> None:
        subprocess.run(
            [
                *(place.python, "-m", "celery", "-A", "recorded_app", "multi", what, "one@here"),
                *(f"--pidfile={pid_file}", f"--logfile={place.log}", *more),
            ],
            env=place.environ,
            cwd=place.folder,
            check=True,
            capture_output=True,
            timeout=DEADLINE_SECONDS,
        )

    multi("start", "-c", "2", "-l", "INFO")
    try:
        wait_until(pid_file.exists, "the worker's pid")
        place.wait_ready()
        pid = int(pid_file.read_text())
        ids = place.run("publish_adds.py", "3")
        multi("stopwait")
    finally:
        if pid_file.exists() and alive(int(pid_file.read_text())):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
    streams = streams_of(place.spool)
    assert all(stream.is_whole for stream in streams)
    assert {stream.worker for stream in streams} == {"one@here"}
    assert [stream.pid for stream in streams if stream.kind == "worker"] == [pid]
    assert sum(stream.steps.count("succeeded") for stream in streams) == len(ids)


@pytest.mark.parametrize(
    ("version", "how"), [(NEWEST, "instrument"), (NEWEST, "auto"), ("5.2", "instrument")]
)
def test_a_worker_that_is_started_in_code(
    tmp_path: Path, broker: EmbeddedValkey, version: str, how: str
) -> None:
    place = Place(interpreter(version), tmp_path, broker)
    with place.log.open("wb") as log:
        process = subprocess.Popen(
            [place.python, str(HERE / "embedded_worker.py"), how],
            env=place.environ,
            cwd=place.folder,
            stdout=log,
            stderr=log,
        )
    try:
        place.wait_ready()
        place.run("publish_adds.py", "3")
    finally:
        end(process, signal.SIGTERM)
    streams = streams_of(place.spool)
    assert all(stream.is_whole for stream in streams)
    by_kind = {stream.kind: stream for stream in streams}
    assert by_kind.keys() == {"publisher", "worker", "child"}
    assert by_kind["publisher"].pid == by_kind["worker"].pid == process.pid
    assert by_kind["publisher"].steps == ["stream_opened", "sent", "stream_closed"]
    assert by_kind["worker"].worker == by_kind["child"].worker == "embedded@here"
    ran = [s for s in streams if "started" in s.steps]
    assert {stream.kind for stream in ran} == {"child"}
    assert sum(stream.steps.count("succeeded") for stream in ran) == 4


def test_children_that_are_new_interpreters(place: Place) -> None:
    place.environ["POOL_START_METHOD"] = "spawn"
    worker = place.start_celery("worker", "-c", "2", "-l", "INFO", "-n", "node@here")
    try:
        place.wait_ready()
        ids = place.run("publish_adds.py", "4")
    finally:
        end(worker, signal.SIGTERM)
    streams = streams_of(place.spool)
    assert all(stream.is_whole for stream in streams)
    assert {stream.kind for stream in streams} == {"worker", "child"}
    assert {stream.worker for stream in streams} == {"node@here"}
    ran = [stream for stream in streams if "started" in stream.steps]
    assert {stream.kind for stream in ran} == {"child"}
    assert sum(stream.steps.count("succeeded") for stream in ran) == len(ids)
    assert worker.pid not in {stream.pid for stream in ran}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_publishers_that_are_child_processes(place: Place, method: str) -> None:
    ids = place.run("publish_from_processes.py", method)
    streams = streams_of(place.spool)
    assert all(stream.is_whole for stream in streams)
    assert [stream.steps for stream in streams] == [
        ["stream_opened", "sent", "stream_closed"]
    ] * len(ids)
    assert {stream.kind for stream in streams} == {"publisher"}
    assert len({stream.pid for stream in streams}) == len(ids)
