"""What loading the agent does to a process: no foreign packages, nothing started, no exception."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOREIGN = (
    "psycopg",
    "flask",
    "werkzeug",
    "gunicorn",
    "grafana_foundation_sdk",
    "grpc",
    "google.protobuf",
    "opentelemetry",
    "cryptography",
    "requests",
    "django.apps",
    "celerytrail.sql",
    "celerytrail.exporter.shipper",
    "celerytrail.exporter.sink",
)


def python(code: str, spool: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "CELERYTRAIL_SPOOL_DIR": str(spool),
            "CELERYTRAIL_SHIPPER": "off",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "module",
    [
        "celerytrail.exporter.agent",
        "celerytrail.exporter.agent.command",
        "celerytrail.exporter.auto",
    ],
)
def test_no_foreign_package_is_imported(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}\nprint([name for name in {FOREIGN!r} if name in sys.modules])"
    done = python(code, tmp_path / "spool")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_entry_point_starts_nothing_until_a_worker_does(tmp_path: Path) -> None:
    code = """
import threading
from kombu.serialization import registry
import celerytrail.exporter.agent.command
from celery import Celery, signals
from celerytrail.exporter.agent.install import installed
assert installed() is None
assert type(registry._encoders) is dict
app = Celery("x", broker="memory://")
app.send_task("t")
assert not signals.before_task_publish.receivers
class Worker:
    hostname = "node@h"
for _ in range(2):
    signals.worker_init.send(sender=Worker())
there = installed()
assert there.recorder.role.worker == "node@h"
assert there.recorder.role.kind == "worker"
assert len(signals.before_task_publish.receivers) == 1
app.send_task("t")
assert threading.active_count() == 1
"""
    done = python(code, tmp_path / "spool")
    assert done.stderr == ""
    assert done.returncode == 0
    assert len(list((tmp_path / "spool").glob("*.seg"))) == 1


def test_disabled_means_nothing_is_connected(tmp_path: Path) -> None:
    code = """
import celerytrail.exporter.auto
from celery import signals
assert not signals.before_task_publish.receivers
"""
    done = python(code, tmp_path / "spool", CELERYTRAIL_DISABLED="1")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_setting_is_one_warning(tmp_path: Path) -> None:
    code = "import celerytrail.exporter.auto"
    done = python(code, tmp_path / "spool", CELERYTRAIL_SPOOL_MAX_BYTES="much")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "CELERYTRAIL_SPOOL_MAX_BYTES" in done.stderr


def test_a_spool_that_cannot_be_written_does_not_stop_the_publisher(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = """
import celerytrail.exporter.auto
from celery import Celery
app = Celery("x", broker="memory://")
for _ in range(3):
    app.send_task("t", ("hush",))
"""
    done = python(code, tmp_path / "file" / "spool")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "CELERYTRAIL_SPOOL_DIR" in done.stderr
    assert "hush" not in done.stderr


def test_one_line_says_that_it_records_and_not_the_token(tmp_path: Path) -> None:
    code = """
import logging
logging.basicConfig(level="INFO")
from celery import Celery
from celerytrail.exporter.agent import instrument
app = Celery("shop", broker="memory://")
for _ in range(2):
    assert instrument(app, token="hush", endpoint="http://sink:4318")
"""
    done = python(code, tmp_path / "spool")
    (line,) = done.stderr.splitlines()
    assert "app=shop" in line
    assert "endpoint=http://sink:4318" in line
    assert str(tmp_path / "spool") in line
    assert "hush" not in line


@pytest.mark.parametrize(
    "ending",
    [
        "raise SystemExit(0)",
        "pid = os.fork()\nif pid == 0:\n    publish()\n    raise SystemExit(0)\nos.waitpid(pid, 0)",
        "process = multiprocessing.get_context('fork').Process(target=publish)\nprocess.start()\nprocess.join()",
    ],
)
def test_every_kind_of_process_says_goodbye(tmp_path: Path, ending: str) -> None:
    from tests.spool_segments import read_streams

    code = f"""
import multiprocessing, multiprocessing.util, os
import celerytrail.exporter.auto
from celery import Celery
def publish():
    Celery("x", broker="memory://").send_task("t")
publish()
{ending}
"""
    done = python(code, tmp_path / "spool")
    assert (done.returncode, done.stderr) == (0, "")
    streams = read_streams(tmp_path / "spool")
    assert len(streams) == (1 if "SystemExit" in ending and "fork" not in ending else 2)
    for records in streams.values():
        assert [record.step.name for record in records] == [
            "stream_opened",
            "sent",
            "stream_closed",
        ]
