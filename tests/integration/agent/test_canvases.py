"""Every canvas, by a real worker of each Celery: which tasks belong to which group, and what a body links to.

What is expected is in ``canvas_table.py``. It is compared with the spans that the shipper makes of
the spool.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.shipper.identity import identify
from celerytrail.exporter.shipper.span_builder import build_span
from tests.celery_versions import CELERY_VERSIONS, NEWEST, interpreter
from tests.integration.agent.canvas_table import INNER, OUTER, TABLE, Around, Canvas
from tests.json_lines import whole_lines
from tests.spool_segments import read_segments
from tests.waiting import wait_until

HERE = Path(__file__).parent
ENDS = {"succeeded", "failed", "retried", "ignored", "rejected"}
MISSING = {"5.2": {"stamped"}}
"""Canvases that a Celery does not have."""

POLLED = [
    "chord",
    "chord_in_task",
    "chord_of_chains",
    "chord_in_chord",
    "chain_with_group",
    "body_is_chain",
]


@dataclass(frozen=True, slots=True)
class Seen:
    """One span, and its attributes as plain values."""

    span: Span
    attributes: dict[str, Any]

    @property
    def step(self) -> str:
        return str(self.attributes["celerytrail.step"])

    @property
    def id(self) -> str:
        return self.span.span_id.hex()

    @property
    def task_id(self) -> str | None:
        return self.attributes.get("messaging.message.id")


@dataclass(frozen=True, slots=True)
class Told:
    """What is recorded of a whole run, and what the publisher and the tasks wrote down."""

    version: str
    said: list[dict[str, Any]]
    notes: list[dict[str, Any]]
    seen: list[Seen]
    log: str
    groups_in_messages: dict[str, set[str]] = field(default_factory=dict)

    def ids(self, case: str) -> dict[str, set[str]]:
        """Return the task ids of each place of a case."""
        found: dict[str, set[str]] = defaultdict(set)
        for note in self.notes:
            if note["case"] == case and "name" in note and note["id"]:
                found[note["name"]].add(note["id"])
        return dict(found)

    def places(self, case: str) -> dict[str, str]:
        """Return the place of each task id of a case; of those that share one, the first."""
        found: dict[str, str] = {}
        for place, ids in self.ids(case).items():
            for one in ids:
                found.setdefault(one, place)
        return found

    def sends(self, task_id: str) -> list[Seen]:
        return [one for one in self.seen if one.step == "sent" and one.task_id == task_id]

    def symbols(self, case: str) -> dict[str, str]:
        """Return what the table calls each group id of a case."""
        inner = {one["id"] for one in self.notes if one["case"] == case and one.get("group")}
        if case in ("replaced_by_group", "replaced_by_chord"):
            inner |= {
                group
                for task_id in self.ids(case)["r0"]
                for group in self.groups_in_messages[task_id]
            }
        found = dict.fromkeys(inner, INNER)
        for line in self.said:
            if line["case"] == case and line["groups"]:
                found[line["groups"][0]] = OUTER
        if self.version == "5.2" and case == "chain_with_group":
            # The result names another group there than the messages do.
            (task_id,) = self.ids(case)["m0"]
            found |= dict.fromkeys(self.groups_in_messages[task_id], OUTER)
        return found

    def groups(self, case: str) -> list[Seen]:
        """Return the spans of the groups that the tasks of a case are in."""
        tasks = self.places(case)
        ids = {
            group
            for one in self.seen
            if one.task_id in tasks and one.step == "sent"
            for group in (
                one.attributes.get("celery.group"),
                one.attributes.get("celery.root_group"),
            )
        } | {group for line in self.said if line["case"] == case for group in line["groups"]}
        return [
            one
            for one in self.seen
            if one.step == "group" and one.attributes["celery.group"] in ids
        ]


def spans_of(spool: Path) -> tuple[list[Seen], dict[str, set[str]]]:
    """Return the spans of all records, and the groups that the messages of each task name."""
    seen: list[Seen] = []
    groups: dict[str, set[str]] = defaultdict(set)
    for segment in read_segments(spool):
        for record in segment.records:
            identity = identify(segment.header, record)
            span = Span.FromString(build_span(record, identity, {}))
            attributes = {
                item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value")
                for item in span.attributes
            }
            seen.append(Seen(span, attributes))
            if record.step.name == "sent" and identity.task_id and identity.facts.get("group"):
                groups[identity.task_id].add(str(identity.facts["group"]))
    return seen, dict(groups)


class Place:
    """A worker of the app, its broker, and the spool that they share."""

    def __init__(self, version: str, folder: Path, broker: EmbeddedValkey, results: str) -> None:
        self.version = version
        self.python = interpreter(version)
        self.folder = folder
        self.spool = folder / "spool"
        self.record = folder / "record"
        self.log = folder / "worker.log"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))},
            "BROKER_URL": broker.url,
            "RESULT_URL": results or broker.url,
            "WORKLOAD_RECORD": str(self.record),
            "PYTHONPATH": str(HERE),
            "CELERYTRAIL_SPOOL_DIR": str(self.spool),
            "CELERYTRAIL_SHIPPER": "off",
            "CELERYTRAIL_SERVICE": "canvas",
        }

    def publish(self, cases: list[str], **environ: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [self.python, str(HERE / "publish_canvases.py"), json.dumps(cases)],
            env={**self.environ, **environ},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "celerytrail" not in done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def notes(self) -> list[dict[str, Any]]:
        return whole_lines(self.record)

    def run(self, cases: list[str]) -> Told:
        """Publish these cases, wait until all that was sent has ended, and stop the worker."""
        with self.log.open("wb") as log:
            worker = subprocess.Popen(
                [
                    self.python,
                    "-m",
                    "celery",
                    "-A",
                    "canvas_app",
                    "worker",
                    "-c",
                    "2",
                    "-l",
                    "INFO",
                ],
                env=self.environ,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        try:
            said = self.publish(cases)
            wait_until(lambda: self._all_were_there(said), "every place of every canvas", 200)
            wait_until(self._all_have_ended, "the end of all that was sent", 200)
        finally:
            end(worker)
        seen, groups = spans_of(self.spool)
        return Told(self.version, said, self.notes(), seen, self.log.read_text(), groups)

    def _all_were_there(self, said: list[dict[str, Any]]) -> bool:
        there = {(note["case"], note.get("name")) for note in self.notes()}
        return all(
            (line["case"], place) in there
            for line in said
            for place in TABLE.get(line["case"], Canvas({})).roots
        )

    def _all_have_ended(self) -> bool:
        seen, _ = spans_of(self.spool)
        sent = {one.attributes["celery.send.id"] for one in seen if one.step == "sent"}
        return sent == {one.attributes["celery.send.id"] for one in seen if one.step in ENDS}


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(90)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def ran(version: str, folder: Path, cases: list[str], results: str = "") -> Told:
    with EmbeddedValkey(folder / "valkey") as broker:
        return Place(version, folder, broker, results).run(cases)


@pytest.fixture(scope="module", params=CELERY_VERSIONS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return ran(request.param, tmp_path_factory.mktemp("canvases"), [])


@pytest.fixture(scope="module", params=CELERY_VERSIONS)
def polled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The chords again, on a result backend that cannot count their headers."""
    folder = tmp_path_factory.mktemp("polled")
    (folder / "results").mkdir()
    return ran(request.param, folder, POLLED, f"file://{folder / 'results'}")


def expected_of(told: Told, case: str) -> Canvas:
    """Return what the table says of a case; nothing where this Celery has no such canvas."""
    if case in MISSING.get(told.version, ()):
        assert case not in {line["case"] for line in told.said}
        return Canvas({})
    return TABLE[case]


def roots_of(told: Told, case: str) -> dict[str, set[str | None]]:
    symbols = told.symbols(case)
    return {
        place: {
            symbols.get(root, root)
            for task_id in ids
            for send in told.sends(task_id)
            for root in [send.attributes.get("celery.root_group")]
        }
        for place, ids in told.ids(case).items()
    }


def label(group: Seen, places: dict[str, str]) -> str:
    body = places.get(group.attributes.get("celery.chord.body_id", ""))
    kind = str(group.attributes["celery.group.kind"])
    return f"{kind} of {body}" if body else kind


def arounds_of(told: Told, case: str) -> list[Around]:
    places = told.places(case)
    labels = {one.id: label(one, places) for one in told.groups(case)}
    runs = {
        one.attributes["celery.run.id"]: places.get(one.task_id or "", "?")
        for one in told.seen
        if one.step == "started"
    }
    return [
        Around(
            one.attributes["celery.group.kind"],
            one.attributes.get("celery.group.size"),
            places.get(one.attributes.get("celery.chord.body_id", "")),
            {**runs, **labels}.get(one.span.parent_span_id.hex(), "")
            if one.span.parent_span_id
            else "",
        )
        for one in told.groups(case)
    ]


def links_of(told: Told, case: str) -> dict[str, set[str]]:
    places = told.places(case)
    real = {one.id: f"{one.step}" for one in told.seen}
    real |= {one.id: label(one, places) for one in told.groups(case)}
    real |= {
        one.id: places[one.task_id]
        for one in told.seen
        if one.step == "sent" and one.task_id in places
    }
    found: dict[str, set[str]] = defaultdict(set)
    for one in told.seen:
        if one.step != "sent" or one.task_id not in places:
            continue
        for link in one.span.links:
            (why,) = link.attributes
            assert link.trace_id == one.span.trace_id
            if why.value.string_value.startswith("chord"):
                found[places[one.task_id]].add(real[link.span_id.hex()])
    return dict(found)


def test_each_case_of_the_table_is_published(told: Told) -> None:
    missing = MISSING.get(told.version, set())
    others = {"chunks", "pieces"}  # of tasks that know no place: they have a test of their own
    assert {line["case"] for line in told.said} == (set(TABLE) | others) - missing


@pytest.mark.parametrize("case", TABLE)
def test_every_send_has_its_outermost_group(told: Told, case: str) -> None:
    assert roots_of(told, case) == expected_of(told, case).roots


@pytest.mark.parametrize("case", TABLE)
def test_every_group_is_known_once_and_where_it_belongs(told: Told, case: str) -> None:
    canvas = expected_of(told, case)
    expected = canvas.groups if told.version == NEWEST else canvas.groups + canvas.older
    assert sorted(map(repr, arounds_of(told, case))) == sorted(map(repr, expected))


@pytest.mark.parametrize("case", TABLE)
def test_a_body_links_to_all_of_its_headers(told: Told, case: str) -> None:
    links, canvas = links_of(told, case), expected_of(told, case)
    expected = canvas.links
    if canvas.lazy and links != expected:
        # A header that was sent before all were counted ended last.
        expected = {body: {f"chord of {body}"} for body in expected}
    assert links == expected


@pytest.mark.parametrize("case", POLLED)
def test_a_body_that_is_polled_for_belongs_to_its_chord(polled: Told, case: str) -> None:
    assert roots_of(polled, case) == TABLE[case].roots
    assert links_of(polled, case) == TABLE[case].links


def test_polls_are_marked_as_celerys_own(polled: Told) -> None:
    roots = {one.attributes["celery.group"] for one in polled.seen if one.step == "group"}
    polls = [
        one for one in polled.seen if one.attributes.get("celery.task") == "celery.chord_unlock"
    ]
    assert {one.step for one in polls} >= {"sent", "received", "started", "succeeded"}
    for one in polls:
        assert one.attributes["celery.internal"] is True
        assert one.attributes["celery.root_group"] in roots
        assert "celery.group" not in one.attributes
    others = [one for one in polled.seen if one not in polls]
    assert not [one for one in others if "celery.internal" in one.attributes]


def test_a_body_links_to_as_many_headers_as_a_span_may(told: Told) -> None:
    (body,) = told.ids("chord_of_100")["body"]
    (send,) = told.sends(body)
    assert len(send.span.links) == send.attributes["celery.chord.size"] == 100
    assert send.span.dropped_links_count == 0


def test_a_chord_names_its_body(told: Told) -> None:
    chords = [one for one in told.seen if one.attributes.get("celery.group.kind") == "chord"]
    names = {one.attributes["celery.chord.body"] for one in chords}
    assert names == {
        "canvas_app.work",
        "canvas_app.fail",
        "canvas_app.flaky",
        "canvas_app.spawn",
        "celery.accumulate",
    }


def test_a_chain_is_known_from_its_first_link(told: Told) -> None:
    lengths = {
        place: one.attributes.get("celery.chain.length")
        for task_id, place in told.places("chain").items()
        for one in told.sends(task_id)
    }
    assert lengths == {"c0": 3, "c1": None, "c2": None}


def test_maps_are_one_task_and_chunks_are_a_group(told: Told) -> None:
    said = {line["case"]: line for line in told.said}
    for case in ("map", "starmap"):
        (send,) = told.sends(said[case]["id"])
        assert send.attributes["celery.task"] == f"celery.{case}"
        assert "celery.root_group" not in send.attributes
    for case, task, count in (("chunks", "celery.starmap", 3), ("pieces", "canvas_app.double", 2)):
        members = [
            one
            for one in told.seen
            if one.step == "sent" and one.attributes.get("celery.root_group") == said[case]["id"]
        ]
        assert [one.attributes["celery.task"] for one in members] == [task] * count
        (group,) = told.groups(case)
        assert {one.span.parent_span_id for one in members} == {group.span.span_id}


@pytest.mark.parametrize("version", CELERY_VERSIONS)
def test_an_eager_canvas_is_published_to_nobody(version: str, tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "valkey") as broker:
        place = Place(version, tmp_path, broker, "")
        said = place.publish(["group", "chord", "chord_in_chord", "chain_with_group"], EAGER="1")
        assert len(said) == 4
        notes = {(note["case"], note["name"]) for note in place.notes()}
    assert {("group", "m2"), ("chord", "body"), ("chord_in_chord", "body")} <= notes
    seen, _ = spans_of(place.spool)
    assert {one.step for one in seen if one.task_id} == {"started", "succeeded"}


def test_nothing_went_wrong_in_the_worker(told: Told) -> None:
    assert "the task is not affected" not in told.log
