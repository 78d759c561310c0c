"""A user's OpenTelemetry beside us in real processes, on the oldest and the newest Celery: ``celery
worker`` and a publisher, both started by ``opentelemetry-instrument``, with the contributed
instrumentation of Celery at work at the same time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from celerytrail.examples.embedded.ports import free_port
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.spool.election import shipper_is_running
from celerytrail.exporter.spool.record import HEADERS, Record
from celerytrail.exporter.spool.trail import read_trail
from tests.celery_versions import NEWEST, interpreter
from tests.json_lines import whole_lines
from tests.processes import mentioning
from tests.spool_segments import read_records
from tests.waiting import DEADLINE_SECONDS, wait_until

HERE = Path(__file__).parent
NOTHING = "0" * 32
SAMPLED = 1
THEIRS = "opentelemetry.instrumentation.celery"
LIFE = ("sent", "received", "started", "succeeded")


class Traced:
    """The app, run by ``opentelemetry-instrument``, and where its spans and our records go."""

    def __init__(self, python: str, folder: Path, broker_url: str, **environ: str) -> None:
        self.python = python
        self.folder = folder
        self.spool = folder / "spool"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))},
            "BROKER_URL": broker_url,
            "SPANS": str(folder),
            "ORDER": "entry points",
            "PYTHONPATH": str(HERE),
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "CELERYTRAIL_SPOOL_DIR": str(self.spool),
            "CELERYTRAIL_SHIPPER": "off",
            **environ,
        }

    def command(self, *arguments: str) -> list[str]:
        instrument = Path(self.python).with_name("opentelemetry-instrument")
        return [self.python, str(instrument), *arguments]

    def publish(self) -> Any:
        """Publish one task inside a span; return what the publisher says of it."""
        done = subprocess.run(
            self.command(self.python, str(HERE / "publish_traced.py")),
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def run(self) -> Any:
        """Publish one task, let a worker run it and what it sends; return what the publisher said."""
        said = self.publish()
        log = self.folder / "worker.log"
        with log.open("wb") as out:
            worker = subprocess.Popen(
                self.command(
                    str(Path(self.python).with_name("celery")),
                    *("-A", "traced_app", "worker", "-c", "1", "-l", "INFO"),
                ),
                env=self.environ,
                cwd=self.folder,
                stdout=out,
                stderr=out,
            )
        try:
            wait_until(lambda: self.steps()["succeeded"] == 2, "both tasks have run")
        finally:
            worker.send_signal(signal.SIGTERM)
            try:
                worker.wait(DEADLINE_SECONDS)
            finally:
                worker.kill()
                worker.wait()
        text = log.read_text()
        assert "Traceback" not in text
        assert text.count("celerytrail records app=traced_app worker=celery@") == 1
        return said

    def records(self, step: str) -> list[Record]:
        found = read_records(self.spool) if self.spool.exists() else []
        return [one for one in found if one.step.name == step]

    def steps(self) -> Counter[str]:
        return Counter({step: len(self.records(step)) for step in LIFE})

    def trails(self, step: str) -> list[dict[str, Any]]:
        """The trails of the records of a step, the outer task's before the inner one's."""
        found = [
            trail_of(one) for one in sorted(self.records(step), key=lambda one: one.time_unix_nano)
        ]
        return sorted(found, key=lambda trail: trail["sent_unix_nano"])

    def lines(self, kind: str) -> list[dict[str, Any]]:
        path = self.folder / f"{kind}.jsonl"
        return whole_lines(path)


@pytest.fixture(scope="module", params=["5.2", NEWEST])
def python(request: pytest.FixtureRequest) -> str:
    return interpreter(request.param)


def trail_of(record: Record) -> dict[str, Any]:
    trail = read_trail(record.fields["trail"])
    assert trail is not None
    return trail._asdict()


def task_name(record: Record) -> str:
    return str(dict(zip(HEADERS, record.fields["headers"], strict=False))["task"])


ORDERS = {
    "entry points": {},
    "ours alone": {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "celery"},
    "theirs first": {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "celery,celerytrail"},
    "ours first": {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "celery,celerytrail"},
}


@pytest.mark.parametrize("order", ORDERS)
def test_request_task_and_task_are_in_one_trace(
    python: str, tmp_path: Path, valkey: EmbeddedValkey, order: str
) -> None:
    traced = Traced(python, tmp_path, valkey.url, ORDER=order, **ORDERS[order])
    said = traced.run()
    assert said["same_span"]
    assert said["same_provider"]
    assert traced.steps() == dict.fromkeys(LIFE, 2)
    for step in LIFE:
        assert {trail["trace_id"] for trail in traced.trails(step)} == {said["trace"]}, step

    spans = traced.lines("spans")
    assert {span["trace"] for span in spans} == {said["trace"]}
    theirs = {span["name"]: span["span"] for span in spans if span["scope"] == THEIRS}
    expected = {
        f"{what}/traced_app.{name}"
        for what in ("apply_async", "run")
        for name in ("outer", "inner")
    }
    assert set(theirs) == (set() if order == "ours alone" else expected)
    # Nothing of ours in the user's pipeline, and each of theirs once.
    assert len(spans) == len(theirs) + 1

    outer, inner = traced.trails("sent")
    sent_by = {
        "theirs first": theirs.get("apply_async/traced_app.outer"),
        "ours first": said["span"],
    }
    assert outer["parent_span_id"] in (
        [sent_by[order]]
        if order in sent_by
        else [said["span"], theirs.get("apply_async/traced_app.outer")]
    )
    (run_id,) = [
        one.fields["run_id"] for one in traced.records("started")
        if trail_of(one)["send_id"] == outer["send_id"]
    ]  # fmt: skip
    assert inner["parent_span_id"] == run_id


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
def test_sampling_is_the_users_and_records_are_ours(
    python: str, tmp_path: Path, valkey: EmbeddedValkey, sampler: str
) -> None:
    traced = Traced(python, tmp_path, valkey.url, OTEL_TRACES_SAMPLER=sampler)
    said = traced.run()
    assert said["trace"] != NOTHING
    assert traced.steps() == dict.fromkeys(LIFE, 2)
    assert {trail["trace_id"] for trail in traced.trails("sent")} == {said["trace"]}
    arrived = [line["traceparent"] for line in traced.lines("requests")]
    assert len(arrived) == 2
    flags = {int(text[-2:], 16) & SAMPLED for text in arrived}
    assert flags == {int(sampler == "always_on")}
    assert len(traced.lines("spans")) == (5 if sampler == "always_on" else 0)


def test_a_disabled_sdk_does_not_disable_us(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    traced = Traced(python, tmp_path, valkey.url, OTEL_SDK_DISABLED="true")
    said = traced.run()
    assert said["trace"] == NOTHING
    assert traced.lines("spans") == []
    assert traced.steps() == dict.fromkeys(LIFE, 2)
    (trace_id,) = {trail["trace_id"] for trail in traced.trails("sent")}
    assert trace_id != NOTHING


def test_the_shipper_is_no_program_of_the_users(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    traced = Traced(
        python,
        tmp_path,
        valkey.url,
        CELERYTRAIL_SHIPPER="spawn",
        CELERYTRAIL_ENDPOINT=f"http://127.0.0.1:{free_port()}",  # it has something to do for ever
        CELERYTRAIL_DRAIN_SECONDS="0",
    )
    try:
        traced.publish()
        wait_until(lambda: shipper_is_running(traced.spool), "the shipper")
        (pid,) = mentioning(f"--spool\0{traced.spool}")
        environ = dict(
            item.split("=", 1)
            for item in Path(f"/proc/{pid}/environ").read_text().split("\0")
            if "=" in item
        )
        assert "auto_instrumentation" not in environ["PYTHONPATH"]
    finally:
        for pid in mentioning(f"--spool\0{traced.spool}"):
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not mentioning(f"--spool\0{traced.spool}"), "the end of the shipper")
