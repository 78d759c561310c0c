"""A root file system that cannot be written, and no home: only the spool is needed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.pipeline import Pipeline
from tests.acceptance.test_outages import MISSING, STORED_ENDS
from tests.faults.namespaces import unshare
from tests.faults.test_container_stop import publish
from tests.waiting import wait_until


def read_only_but(*directories: Path) -> list[str]:
    """Return what is put before a command that may write nothing but these directories.

    /dev is left as it is, as in a container: /dev/shm holds the semaphores of the worker's pool.
    """
    binds = [f"mount --bind {shlex.quote(str(d))} {shlex.quote(str(d))}" for d in directories]
    closed = "mount -o remount,bind,ro /"
    steps = " && ".join([*binds, closed, 'exec "$@"'])
    command = [*unshare("--mount"), "sh", "-c", steps, "sh"]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this machine makes no namespaces: {tried.stderr.strip()[:100]}")
    return command


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pool", "home"), [("solo", None), ("solo", "/nowhere"), ("prefork", None)]
)
def test_worker_and_shipper_run_with_nothing_to_write_but_the_spool(
    pipeline: Pipeline, pool: str, home: str | None
) -> None:
    """Celery's own prefork pool does not start without a directory for temporary files."""
    records = pipeline.directory / "records"
    records.mkdir()
    pipeline.spool.mkdir(mode=0o700)
    pipeline.shipper_settings["WORKLOAD_RECORD"] = str(records / "record.jsonl")
    scratch = pipeline.directory / "scratch"
    scratch.mkdir()
    temporary = [scratch] if pool == "prefork" else []
    before = read_only_but(pipeline.spool, records, *temporary)
    tried = pipeline.start("tried", [*before, "touch", str(pipeline.directory / "x")], os.environ)
    assert tried.process.wait(60) == 1, "the rest can be written: this test would show nothing"
    assert "Read-only file system" in tried.tail()
    without_home = ["env", "-u", "HOME", "-u", "XDG_STATE_HOME", "-u", "TMPDIR"]
    if home is not None:
        without_home.append(f"HOME={home}")
    without_home += [f"TMPDIR={directory}" for directory in temporary]
    worker = pipeline.start_worker("--pool", pool, before=[*before, *without_home])
    publish(pipeline, 20, 0.0)
    wait_until(lambda: pipeline.value(STORED_ENDS) == 20, "all tasks are stored")
    assert worker.stop(signal.SIGTERM) == 0
    wait_until(lambda: not list(pipeline.spool.glob("*.seg")), "the worker's own shipper ends it")
    assert pipeline.value(MISSING) == 0
    trouble = [
        line
        for line in worker.log.read_text().splitlines()
        if "celerytrail" in line and ("WARN" in line or "ERROR" in line)
    ]
    assert trouble == []
