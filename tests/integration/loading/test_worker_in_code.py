"""A worker that no command line starts is recorded by the ways that say so, and not by the others."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.celery_versions import NEWEST, interpreter
from tests.json_lines import whole_lines
from tests.spool_segments import read_records, read_segments
from tests.waiting import DEADLINE_SECONDS, wait_until

HERE = Path(__file__).parent
LIFE = {"received": 2, "started": 2, "succeeded": 2}


@pytest.mark.parametrize("version", ["5.2", NEWEST])
@pytest.mark.parametrize("way", ["auto", "instrument", "opentelemetry-instrument", "none"])
def test_a_worker_in_code(version: str, way: str, tmp_path: Path, valkey: EmbeddedValkey) -> None:
    python, spool = interpreter(version), tmp_path / "spool"
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))},
        "BROKER_URL": valkey.url,
        "SPANS": str(tmp_path),
        "ORDER": "entry points",
        "PYTHONPATH": str(HERE),
        "CELERYTRAIL_SPOOL_DIR": str(spool),
        "CELERYTRAIL_SHIPPER": "off",
    }
    instrument = [python, str(Path(python).with_name("opentelemetry-instrument"))]
    prefix = instrument if way == "opentelemetry-instrument" else []
    subprocess.run(
        [python, "-c", "from traced_app import outer; outer.delay()"],
        env=environ,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert not spool.exists()
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [*prefix, python, str(HERE / "worker_in_code.py"), way],
            env=environ,
            stdout=log,
            stderr=log,
        )
    done = tmp_path / "requests.jsonl"  # the tasks say so themselves

    def steps() -> Counter[str]:
        records = read_records(spool) if spool.exists() else []
        return Counter(one.step.name for one in records)

    try:
        wait_until(lambda: len(whole_lines(done)) == 2, "both tasks")
        if way != "none":
            # SIGTERM breaks off what a solo worker of Celery 5.2 is at, be it the end of a task.
            wait_until(lambda: steps()["succeeded"] == 2, "the end of both")
    finally:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(DEADLINE_SECONDS)
        finally:
            worker.kill()
            worker.wait()
    segments = read_segments(spool) if spool.exists() else []
    found = {name: steps()[name] for name in LIFE}
    assert found == (dict.fromkeys(LIFE, 0) if way == "none" else LIFE)
    assert {segment.header.process_kind for segment in segments} == (
        set() if way == "none" else {"worker"}
    )
