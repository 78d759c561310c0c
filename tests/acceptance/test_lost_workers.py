"""A worker that is killed together with everything that could have told of it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.processes import shippers_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.acceptance.pipeline import Pipeline

STATE = "SELECT state, inferred FROM celerytrail_views.tasks WHERE task_id = %s"


@pytest.mark.slow
def test_what_it_ran_is_shown_as_lost_once(pipeline: Pipeline) -> None:
    """Another worker goes on; two maintainers look."""
    doomed_spool = pipeline.directory / "doomed"
    pipeline.rows("UPDATE celerytrail.conclusion SET silent_after = '30 seconds' RETURNING 1")
    pipeline.start_worker(name="other")
    doomed = pipeline.start_worker(
        "-Q", "doomed", name="doomed", CELERYTRAIL_SPOOL_DIR=str(doomed_spool)
    )
    (task,) = pipeline.run("publish_steady.py", "1", "600", "doomed")
    wait_until(
        lambda: pipeline.rows(STATE, task["id"]) == [{"state": "started", "inferred": False}],
        "the run is stored",
    )
    shippers = shippers_of(doomed_spool)
    assert shippers
    for pid in shippers:
        os.kill(pid, signal.SIGKILL)
    os.killpg(doomed.pid, signal.SIGKILL)
    doomed.process.wait()
    shutil.rmtree(doomed_spool)

    # Five minutes of work: somebody is heard all the time.
    pipeline.run("publish_steady.py", "1200", "0.5", "celery")
    for name in ("maintainer", "second maintainer"):
        pipeline.start(
            name,
            [str(Path(pipeline.python).with_name("celerytrail")), "maintain", "--every", "1"],
            pipeline.environ(CELERYTRAIL_DSN=pipeline.dsn("celerytrail_maintainer")),
        )
    wait_until(
        lambda: pipeline.rows(STATE, task["id"]) == [{"state": "lost", "inferred": True}],
        "the run is concluded to be lost",
    )
    assert pipeline.rows("SELECT count(*) AS n FROM celerytrail.spans WHERE step = 'lost'") == [
        {"n": 1}
    ]
    assert pipeline.rows(
        "SELECT DISTINCT state FROM celerytrail_views.streams WHERE worker LIKE 'doomed%%' AND process_kind = 'concluder'"
    ) == [{"state": "ended"}]
    maintainers = [one for one in pipeline.programs if "maintainer" in one.name]
    told = f"the run of task {task['id']} is lost"
    # It is said after it is stored.
    wait_until(lambda: any(one.said(told) for one in maintainers), "it is told")
    logs = [one.log.read_text() for one in maintainers]
    assert sum(log.count(told) for log in logs) == 1
    assert "FAILED" not in "".join(logs)
    verified = pipeline.verify()
    assert verified.returncode == 3, verified.stdout  # in order, and no checkpoint was given
    checked = pipeline.command("rebuild", "--dsn", pipeline.dsn(), "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
