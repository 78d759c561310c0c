"""A real worker and a real publisher of an ordinary app, on the oldest and the newest Celery.

What the recorder wrote into the spool is compared with what the app and its result backend say.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.spool.record import HEADERS, REQUEST, Record
from celerytrail.exporter.spool.trail import read_trail
from tests.celery_versions import NEWEST, interpreter
from tests.integration.agent.place import (
    Place,
    child_processes,
    end,
)
from tests.spool_segments import Segment, read_segments
from tests.waiting import DEADLINE_SECONDS, wait_until

BACKEND_STATES = {
    "succeeded": "SUCCESS",
    "failed": "FAILURE",
    "revoked": "REVOKED",
    "expired": "REVOKED",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a whole run left in the spool, and what the app says of it."""

    said: Any
    without_agent: Any
    segments: list[Segment]
    log: str
    children: list[dict[str, Any]]

    def task_records(self) -> dict[str, list[Record]]:
        found = defaultdict(list)
        for segment in self.segments:
            for record in segment.records:
                task_id = task_id_of(record)
                if task_id:
                    found[task_id].append(record)
        return found

    def sends(self, task_id: str) -> list[dict[str, Any]]:
        return [trail_of(one) for one in self.task_records()[task_id] if one.step.name == "sent"]

    def ran_in(self, name: str) -> str:
        """The stream of the child that ran a task of its own."""
        (stream,) = {
            segment.header.stream_id
            for segment in self.segments
            for record in segment.records
            if record.step.name == "started"
            and task_id_of(record) == self.said["alone"][name]["id"]
        }
        return stream

    def of(self, step: str) -> list[Record]:
        return [
            one for segment in self.segments for one in segment.records if one.step.name == step
        ]


def task_id_of(record: Record) -> str | None:
    for layout, name in ((HEADERS, "headers"), (REQUEST, "request")):
        values = record.fields.get(name)
        if values:
            return str(dict(zip(layout, values, strict=False))["id"])
    return None


def trail_of(record: Record) -> dict[str, Any]:
    trail = read_trail(record.fields["trail"])
    assert trail is not None
    return trail._asdict()


def final_state(records: list[Record]) -> str:
    best = max(
        records,
        key=lambda one: (trail_of(one)["sent_unix_nano"], one.step.rank, one.time_unix_nano),
    )
    return best.step.name


@pytest.fixture(scope="module", params=["5.2", NEWEST])
def python(request: pytest.FixtureRequest) -> str:
    return interpreter(request.param)


@pytest.fixture(scope="module")
def told(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("worker")
    with EmbeddedValkey(folder / "valkey") as broker:
        place = Place(python, folder, broker)
        worker = place.start_worker()
        try:
            place.wait_ready()
            said = place.publish("with agent")
            without = place.publish("without agent")
            wait_until(lambda: "unknown" in place.steps(), "the unknown task")
            children = child_processes(worker.pid, broker.port, 2)
        finally:
            end(worker, signal.SIGTERM)
        yield Told(said, without, read_segments(place.spool), place.log.read_text(), children)


def test_every_task_ends_as_the_result_backend_says(told: Told) -> None:
    records = told.task_records()
    recorded = {
        name: BACKEND_STATES.get(
            final_state(records[known["id"]]), final_state(records[known["id"]])
        )
        for name, known in told.said["alone"].items()
    }
    assert recorded == {name: known["state"] for name, known in told.said["alone"].items()}
    for name, task_id in told.said["silent"].items():
        assert final_state([one for one in records[task_id] if one.fields.get("trail")]) in (
            name,
            "failed",
        )
    assert final_state(records[told.said["unknown"]]) == "unknown"
    assert final_state(records[told.said["unconsumed"]]) == "sent"


def test_every_member_of_every_canvas_succeeded(told: Told) -> None:
    records, said = told.task_records(), told.said
    ids = [
        *said["group"]["members"],
        said["chord"]["body"],
        *said["chord"]["headers"],
        *said["chain"],
        *said["nested"]["ends"],
    ]
    assert said["values"] == {
        "group": [0, 2, 4, 6, 8],
        "chord": 20,
        "chain": 7,
        "nested": [3, 5, 10],
        "middle": 13,
    }
    assert {final_state(records[task_id]) for task_id in ids} == {"succeeded"}
    for task_id in ids:
        names = [one.step.name for one in records[task_id]]
        assert sorted(names) == ["received", "sent", "started", "succeeded"]


def test_exceptions_are_those_of_the_backend(told: Told) -> None:
    records = told.task_records()
    (failed,) = [
        one for one in records[told.said["alone"]["fail"]["id"]] if one.step.name == "failed"
    ]
    assert failed.fields["exception_class"] == "ValueError"
    assert failed.fields["exception"] == "boom é"
    assert told.said["alone"]["fail"]["result"] == "ValueError('boom é')"
    assert "raise ValueError(text)" in failed.fields["traceback"]
    for name, kind in (("killed", "WorkerLostError"), ("limited", "TimeLimitExceeded")):
        found = [
            one for one in records[told.said["alone"][name]["id"]] if one.step.name == "failed"
        ]
        assert len(found) == 1  # Celery 5.7 reports it twice
        assert found[0].fields["exception_class"].endswith("." + kind)
        assert found[0].fields["run_id"] is None


def test_attempts_are_siblings_in_one_trace(told: Told) -> None:
    records = told.task_records()[told.said["alone"]["flaky"]["id"]]
    sends = [one for one in records if one.step.name == "sent"]
    runs = sorted(
        (one for one in records if one.step.name == "started"), key=lambda one: one.time_unix_nano
    )
    assert len(sends) == len(runs) == 3
    assert len({trail_of(one)["send_id"] for one in sends}) == 3
    assert {(trail_of(one)["trace_id"], trail_of(one)["parent_span_id"]) for one in sends} == {
        (trail_of(sends[0])["trace_id"], "")
    }
    by_time = sorted(sends, key=lambda one: trail_of(one)["sent_unix_nano"])
    assert [one.fields["linked_run_id"] for one in by_time] == [
        None,
        runs[0].fields["run_id"],
        runs[1].fields["run_id"],
    ]
    assert [trail_of(one)["send_id"] for one in runs] == [
        trail_of(one)["send_id"] for one in by_time
    ]


def test_replace_links_to_the_run_before(told: Told) -> None:
    records = told.task_records()[told.said["alone"]["replaced"]["id"]]
    sends = sorted(
        (one for one in records if one.step.name == "sent"), key=lambda one: one.time_unix_nano
    )
    assert len(sends) == 2
    (ignored,) = [one for one in records if one.step.name == "ignored"]
    assert sends[1].fields["linked_run_id"] == ignored.fields["run_id"]


def test_what_a_task_publishes_is_in_its_trace(told: Told) -> None:
    records = told.task_records()
    parent = records[told.said["alone"]["parent"]["id"]]
    (run,) = [one for one in parent if one.step.name == "started"]
    (send,) = told.sends(told.said["spawned"]["parent"])
    assert send["parent_span_id"] == run.fields["run_id"]
    assert send["trace_id"] == trail_of(run)["trace_id"]
    chain = [told.sends(task_id)[0] for task_id in told.said["chain"]]
    assert len({send["trace_id"] for send in chain}) == 1


def test_groups_are_attributed_and_minted_once(told: Told) -> None:
    said = told.said
    spans = {one.fields["group_id"]: one.fields for one in told.of("group")}
    assert len(spans) == len(told.of("group"))
    members = [told.sends(task_id)[0] for task_id in said["group"]["members"]]
    assert {send["root_group_id"] for send in members} == {said["group"]["id"]}
    assert {send["parent_span_id"] for send in members} == {spans[said["group"]["id"]]["span_id"]}
    headers = [told.sends(task_id)[0] for task_id in said["chord"]["headers"]]
    (body,) = told.sends(said["chord"]["body"])
    assert len({send["root_group_id"] for send in [*headers, body]}) == 1
    assert spans[headers[0]["group_id"]]["kind"] == "chord"
    assert body["trace_id"] == headers[0]["trace_id"]
    inside = [told.sends(task_id)[0] for task_id in said["nested"]["ends"]]
    assert {send["root_group_id"] for send in inside} == {said["nested"]["id"]}
    inner = [one for one in spans.values() if one["root_group_id"] == said["nested"]["id"]]
    assert len(inner) == 3
    outer = spans[said["nested"]["id"]]
    assert {one["parent_span_id"] for one in inner if one is not outer} == {outer["span_id"]}
    fan = spans[said["spawned"]["fan"]]
    (run,) = [
        one for one in told.task_records()[said["alone"]["fan"]["id"]] if one.step.name == "started"
    ]
    assert fan["parent_span_id"] == run.fields["run_id"]


def test_a_message_without_a_trail_is_known_from_its_reception(told: Told) -> None:
    records = told.task_records()[told.without_agent["add"]]
    assert sorted(one.step.name for one in records) == ["received", "started", "succeeded"]
    assert {one.fields["trail"] for one in records} == {None}
    (received,) = [one for one in records if one.step.name == "received"]
    assert json.loads(received.fields["body"])[0] == [7, 7]


def test_streams_have_no_gap_and_say_goodbye(told: Told) -> None:
    streams = defaultdict(list)
    for segment in told.segments:
        assert segment.torn_bytes == 0
        streams[segment.header.stream_id].append(segment)
    silent = set()
    for name, segments in streams.items():
        records = [one for segment in segments for one in segment.records]
        assert [one.seq for one in records] == [*range(1, len(records) + 1)]
        assert records[0].step.name == "stream_opened"
        if records[-1].step.name != "stream_closed":
            silent.add(name)
    killed = {told.ran_in("killed"), told.ran_in("terminated")}
    # Whose time is up is told to end, and killed a tenth of a second later if it has not.
    assert killed <= silent <= killed | {told.ran_in("limited")}
    kinds = {segment.header.process_kind for segment in told.segments}
    assert kinds == {"worker", "child", "publisher"}
    assert {s.header.service for s in told.segments} == {"recorded"}
    assert (
        len({s.header.worker for s in told.segments if s.header.process_kind != "publisher"}) == 1
    )


def test_pool_children_have_no_thread_and_no_connection_of_ours(told: Told) -> None:
    assert len(told.children) == 2
    assert told.children == [{"threads": 1, "elsewhere": []}] * 2


def test_the_worker_says_once_that_it_records(told: Told) -> None:
    lines = [line for line in told.log.splitlines() if "celerytrail" in line and "records" in line]
    assert len(lines) == 1
    assert "app=recorded_app" in lines[0]
    assert "worker=celery@" in lines[0]
    assert not [line for line in told.log.splitlines() if "the task is not affected" in line]


def test_a_worker_that_is_killed_leaves_all_it_captured(python: str, tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "valkey") as broker:
        place = Place(python, tmp_path, broker)
        worker = place.start_worker()
        try:
            place.wait_ready()
            place.publish("without agent")
            wait_until(lambda: "succeeded" in place.steps(), "the run")
        finally:
            end(worker, signal.SIGKILL)
        steps = place.steps()
        assert {"worker_ready", "received", "started", "succeeded"} <= set(steps)
        assert "stream_closed" not in steps


def test_a_worker_runs_on_when_the_spool_cannot_be_written(python: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with EmbeddedValkey(tmp_path / "valkey") as broker:
        place = Place(python, tmp_path, broker)
        place.environ["CELERYTRAIL_SPOOL_DIR"] = str(tmp_path / "file" / "spool")
        worker = place.start_worker()
        try:
            assert place.publish("without agent")
        finally:
            end(worker, signal.SIGTERM)
        assert worker.returncode == 0
        warnings = [
            line for line in place.log.read_text().splitlines() if "CELERYTRAIL_SPOOL_DIR" in line
        ]
        assert warnings
        assert all("WARNING" in line for line in warnings)


def test_beat_is_recorded(python: str, tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "valkey") as broker:
        place = Place(python, tmp_path, broker)
        beat = place.start_celery("beat", "-s", str(tmp_path / "schedule"), "-l", "INFO")
        try:
            wait_until(lambda: place.steps().count("sent") > 1, "beat")
        finally:
            end(beat, signal.SIGTERM)
    (segment,) = read_segments(place.spool)
    assert segment.header.process_kind == "beat"
    assert segment.header.worker.startswith("beat@")
    assert segment.records[-1].step.name == "stream_closed"


@pytest.mark.parametrize("command", [["inspect", "ping"], ["purge", "-f"], ["trail", "status"]])
def test_other_commands_start_nothing(python: str, tmp_path: Path, command: list[str]) -> None:
    with EmbeddedValkey(tmp_path / "valkey") as broker:
        place = Place(python, tmp_path, broker)
        done = subprocess.run(
            [python, "-m", "celery", "-A", "recorded_app", *command],
            env=place.environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert not place.spool.exists()
    assert "Traceback" not in done.stderr
    if command[0] == "trail":
        assert done.returncode == 0
        assert str(place.spool) in done.stdout
        assert "not running" in done.stdout
