"""The first captured publish starts the real shipper, once, in a process that outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from celerytrail.examples.embedded.ports import free_port
from celerytrail.exporter.spool.election import shipper_is_running
from tests.processes import kill, shippers_of
from tests.waiting import wait_until

TOKEN = "hush-hush-hush"
PUBLISH = """
from celery import Celery
from celerytrail.exporter.agent import instrument
app = Celery("x", broker="memory://")
instrument(app, token={token!r}, endpoint="http://127.0.0.1:{port}")
for _ in range(3):
    app.send_task("t")
"""


def publish(spool: Path, port: int) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PUBLISH.format(token=TOKEN, port=port)],
        env={**environ, "CELERYTRAIL_SPOOL_DIR": str(spool)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_publisher_starts_one_shipper(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    port = free_port()  # nobody listens there: the shipper keeps trying
    try:
        publish(spool, port)
        wait_until(lambda: shipper_is_running(spool), "the shipper")
        (pid,) = shippers_of(spool)
        publish(spool, port)
        assert shippers_of(spool) == [pid]
        process = Path(f"/proc/{pid}")
        assert TOKEN.encode() not in (process / "cmdline").read_bytes()
        assert f"CELERYTRAIL_TOKEN={TOKEN}".encode() in (process / "environ").read_bytes()
        assert os.readlink(process / "cwd") == "/"
        assert os.getsid(pid) == pid
        assert TOKEN not in (spool / "shipper.log").read_text()
    finally:
        kill(shippers_of(spool), signal.SIGTERM)
        wait_until(lambda: not shippers_of(spool), "the end of the shipper")


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))}
    subprocess.run(
        [sys.executable, "-c", PUBLISH.format(token=TOKEN, port=1)],
        env={**environ, "CELERYTRAIL_SPOOL_DIR": str(spool), "CELERYTRAIL_SHIPPER": "off"},
        check=True,
        timeout=60,
    )
    assert list(spool.glob("*.seg"))
    assert not (spool / "shipper.lock").exists()
