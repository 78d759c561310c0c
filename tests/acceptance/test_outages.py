"""What stops, dies or vanishes on the way: nothing is lost, nothing is double, or it is counted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from celerytrail.exporter.spool.segment import Frame, scan
from tests.acceptance.pipeline import Pipeline
from tests.waiting import wait_until

STORED_ENDS = "SELECT count(*) FROM celerytrail_views.tasks WHERE state = 'succeeded'"
MISSING = "SELECT coalesce(sum(missing), 0)::int FROM celerytrail_views.streams"
DOUBLES = """
    SELECT count(*) FROM (
        SELECT FROM celerytrail.spans GROUP BY stream_id, seq HAVING count(*) > 1
    ) AS twice
"""


def test_a_task_that_nobody_consumes_is_visible_as_sent(pipeline: Pipeline) -> None:
    (sent,) = pipeline.run("publish_steady.py", "1", "0.5", "a queue without a worker")
    task = wait_until(
        lambda: pipeline.rows(
            "SELECT state, queue, args, started_at FROM celerytrail_views.tasks WHERE task_id = %s",
            sent["id"],
        ),
        "the task is stored",
    )
    assert task == [
        {
            "state": "sent",
            "queue": "a queue without a worker",
            "args": "[0.5]",
            "started_at": None,
        }
    ]


@pytest.mark.slow
def test_a_sink_that_is_away_during_a_run_costs_nothing(pipeline: Pipeline) -> None:
    seconds_away = float(os.environ.get("CELERYTRAIL_TEST_OUTAGE_SECONDS", "8"))
    worker = pipeline.start_worker()
    sink = next(program for program in pipeline.programs if program.name == "sink")
    pipeline.run("publish_steady.py", "60", "0", "celery")
    assert sink.stop() == 0
    published = pipeline.run("publish_steady.py", "60", str(seconds_away / 30), "celery")
    wait_until(lambda: len(pipeline.recorded()) == 120, "the worker ran on without the sink")
    pipeline.start_sink()
    published += pipeline.run("publish_steady.py", "60", "0", "celery")
    wait_until(lambda: pipeline.value(STORED_ENDS) == 180, "all 180 tasks are stored")
    assert worker.stop() == 0
    wait_until(
        lambda: (
            not pipeline.rows(
                "SELECT 1 FROM celerytrail_views.streams WHERE state = 'live' AND process_kind <> 'shipper'"
            )
        ),
        "every stream has its end",
    )
    assert pipeline.value(MISSING) == 0
    assert pipeline.value(DOUBLES) == 0
    assert {
        row["state"]
        for row in pipeline.rows(
            "SELECT state FROM celerytrail_views.streams WHERE process_kind <> 'shipper'"
        )
    } == {"ended"}


@pytest.mark.slow
def test_sigkill_of_a_worker_and_its_children_loses_nothing_that_was_captured(
    pipeline: Pipeline,
) -> None:
    worker = pipeline.start_worker()
    pipeline.run("publish_steady.py", "200", "0.1", "celery")
    wait_until(lambda: len(pipeline.recorded()) > 40, "the run is in its middle")
    victims = [worker.pid, *children_of(worker.pid)]
    assert len(victims) == 3
    for pid in reversed(victims):
        os.kill(pid, signal.SIGKILL)
    worker.process.wait()
    ran = {line["id"] for line in pipeline.recorded()}
    assert 40 < len(ran) < 200

    wait_until(
        lambda: (
            {
                row["pid"]
                for row in pipeline.rows(
                    "SELECT pid FROM celerytrail_views.streams WHERE state = 'unterminated'"
                )
            }
            >= set(victims)
        ),
        "the streams of the killed processes are shown as unterminated",
    )
    # A task writes its line after its run was captured, so each of them has a start.
    started = {
        row["task_id"] for row in pipeline.rows("SELECT task_id FROM celerytrail_views.runs")
    }
    assert ran <= started
    assert pipeline.value(MISSING) == 0
    assert pipeline.value(DOUBLES) == 0
    assert pipeline.value("SELECT count(*) FROM celerytrail_views.tasks") == 200


def test_a_deleted_segment_is_reported_with_exactly_its_number_of_events(
    pipeline: Pipeline,
) -> None:
    settings = {"CELERYTRAIL_SHIPPER": "off", "CELERYTRAIL_SPOOL_MAX_BYTES": str(256 * 1024)}
    pipeline.run("publish_steady.py", "80", "0", "celery", **settings)
    segments = sorted(pipeline.spool.glob("*.seg"))
    assert len(segments) > 2
    victim = segments[1]
    events = records_in(victim)
    assert events > 3
    victim.unlink()

    shipped = pipeline.command("ship", "--once", "--spool", str(pipeline.spool))
    assert shipped.returncode == 0, shipped.stderr
    gaps = pipeline.rows("SELECT missing, process_kind FROM celerytrail_views.missing_events")
    assert [(gap["missing"], gap["process_kind"]) for gap in gaps] == [(events, "publisher")]
    assert pipeline.value(MISSING) == events


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in listed
        if b"celery" in Path(f"/proc/{child}/cmdline").read_bytes()
        and b"shipper" not in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def records_in(segment: Path) -> int:
    frames = [item for item in scan(segment.read_bytes()) if isinstance(item, Frame)]
    return len(frames) - 1  # the first one is the header
