"""A real Django project in every usual layout, on the oldest and the newest Celery: its worker, a
request that publishes, and ``manage.py shell`` are recorded by one line in INSTALLED_APPS.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.spool.record import HEADERS
from tests.celery_versions import NEWEST, interpreter
from tests.integration.loading.django_project import LAYOUTS, Layout
from tests.spool_segments import Segment, read_segments
from tests.waiting import DEADLINE_SECONDS, wait_until


class Project:
    """A project on disk, and the spool that its processes share."""

    def __init__(self, python: str, folder: Path, broker_url: str, layout: Layout) -> None:
        self.python = python
        self.folder = folder / "project"
        self.spool = folder / "spool"
        self.layout = layout
        self.log = folder / "worker.log"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CELERYTRAIL_", "OTEL_"))},
            "BROKER_URL": broker_url,
            "DJANGO_SETTINGS_MODULE": layout.settings_module,
            "CELERYTRAIL_SPOOL_DIR": str(self.spool),
            "CELERYTRAIL_SHIPPER": "off",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.python, *arguments],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self.start("worker", "-c", "1")

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [self.python, "-m", "celery", "-A", self.layout.target, *command, "-l", "INFO"],
                env=self.environ,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def segments(self) -> list[Segment]:
        return read_segments(self.spool) if self.spool.exists() else []

    def steps(self) -> list[str]:
        return [one.step.name for segment in self.segments() for one in segment.records]

    def senders(self) -> dict[str, str]:
        """Task id -> kind of the process that published it."""
        return {
            dict(zip(HEADERS, one.fields["headers"], strict=False))[
                "id"
            ]: segment.header.process_kind
            for segment in self.segments()
            for one in segment.records
            if one.step.name == "sent"
        }


def said(text: str) -> list[str]:
    """The lines of a log that are the recorder's."""
    return [
        line for line in text.splitlines() if "celerytrail" in line and "site-packages" not in line
    ]


def end(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(DEADLINE_SECONDS)
    finally:
        worker.kill()
        worker.wait()


@pytest.fixture(scope="module", params=["5.2", NEWEST])
def python(request: pytest.FixtureRequest) -> str:
    return interpreter(request.param)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_worker_request_and_shell_are_recorded(
    python: str, tmp_path: Path, valkey: EmbeddedValkey, layout: Layout
) -> None:
    project = Project(python, tmp_path, valkey.url, layout)
    layout.write(project.folder)
    web = project.run("web.py")
    shell = project.run(
        "manage.py", "shell", "-c", "from orders.tasks import add\nprint(add.delay(3, 4).id)"
    )
    for process in (web, shell):
        (line,) = said(process.stderr)
        assert line.startswith(f"celerytrail records app={layout.app_name} worker=publisher@")
    worker = project.start_worker()
    try:
        wait_until(lambda: project.steps().count("succeeded") == 2, "both tasks have run")
    finally:
        end(worker)
    ids = {web.stdout.split()[-1], shell.stdout.split()[-1]}
    assert project.senders() == dict.fromkeys(ids, "publisher")
    assert sorted(s for s in project.steps() if s in ("sent", "received", "started", "succeeded")) == [
        "received", "received", "sent", "sent", "started", "started", "succeeded", "succeeded",
    ]  # fmt: skip
    (line,) = said(project.log.read_text())
    assert f"celerytrail records app={layout.app_name} worker=celery@" in line


def test_a_wrong_celery_app_is_one_warning_and_the_usual_places_are_looked_at(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    layout = LAYOUTS[1]
    project = Project(python, tmp_path, valkey.url, layout)
    layout.write(project.folder, 'CELERY_APP = "proj.nowhere:app"')
    web = project.run("web.py")
    warning, line = said(web.stderr)
    assert "CELERY_APP='proj.nowhere:app'" in warning
    assert "No module named 'proj.nowhere'" in warning
    assert "app=by_celery " in line
    assert list(project.senders()) == [web.stdout.strip()]


def test_settings_of_django_count_where_the_environment_has_none(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    layout = LAYOUTS[1]
    project = Project(python, tmp_path, valkey.url, layout)
    del project.environ["CELERYTRAIL_SPOOL_DIR"], project.environ["CELERYTRAIL_SHIPPER"]
    project.environ["CELERYTRAIL_NAMESPACE"] = "of the environment"
    layout.write(
        project.folder,
        "import pathlib\n"
        f"CELERYTRAIL_SPOOL_DIR = pathlib.Path({str(project.spool)!r})\n"
        'CELERYTRAIL_SHIPPER = "off"\n'
        'CELERYTRAIL_SERVICE = "of django"\n'
        'CELERYTRAIL_NAMESPACE = "of django"\n'
        "CELERYTRAIL_CAPTURE_RESULT = True\n",
    )
    project.run("web.py")
    worker = project.start_worker()
    try:
        wait_until(lambda: "succeeded" in project.steps(), "the task has run")
    finally:
        end(worker)
    headers = [segment.header for segment in project.segments()]
    assert {header.process_kind for header in headers} == {"publisher", "worker", "child"}
    assert {(header.namespace, header.service) for header in headers} == {
        ("of the environment", "of django")
    }
    (succeeded,) = [
        one for segment in project.segments() for one in segment.records
        if one.step.name == "succeeded"
    ]  # fmt: skip
    assert succeeded.fields["result"] is not None


def test_loaded_in_three_ways_it_records_once(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    layout = LAYOUTS[1]
    project = Project(python, tmp_path, valkey.url, layout)
    layout.write(project.folder)
    with (project.folder / "proj" / "celery.py").open("a") as module:
        module.write("import celerytrail.exporter.auto\n")
    web = project.run("web.py")
    worker = project.start_worker()
    try:
        wait_until(lambda: "succeeded" in project.steps(), "the task has run")
    finally:
        end(worker)
    assert list(project.senders()) == [web.stdout.strip()]
    assert [project.steps().count(one) for one in ("received", "started", "succeeded")] == [1, 1, 1]


def test_a_command_that_publishes_nothing_leaves_nothing(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    project = Project(python, tmp_path, valkey.url, LAYOUTS[1])
    project.layout.write(project.folder)
    done = project.run("manage.py", "check")
    assert len(said(done.stderr)) == 1
    assert not project.spool.exists()


def test_beat_is_recorded_and_says_so_once(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    layout = LAYOUTS[1]
    project = Project(python, tmp_path, valkey.url, layout)
    layout.write(project.folder)
    beat = project.start("beat", "-s", str(tmp_path / "schedule"))
    try:
        wait_until(lambda: "sent" in project.steps(), "beat has sent a task")
    finally:
        end(beat)
    assert set(project.senders().values()) == {"beat"}
    (line,) = said(project.log.read_text())
    assert f"celerytrail records app={layout.app_name} worker=beat@" in line


def test_settings_that_come_too_late_are_named(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    layout = LAYOUTS[1]
    project = Project(python, tmp_path, valkey.url, layout)
    layout.write(project.folder, 'CELERYTRAIL_SERVICE = "hush"\n')
    app = project.folder / "proj" / "celery.py"
    app.write_text(f"import celerytrail.exporter.auto\n{app.read_text()}")
    worker = project.start_worker()
    try:
        wait_until(lambda: "worker_ready" in project.steps(), "the worker")
    finally:
        end(worker)
    log = project.log.read_text()
    (warning,) = [line for line in said(log) if "records without" in line]
    assert "CELERYTRAIL_SERVICE" in warning
    assert "hush" not in log
    assert {segment.header.service for segment in project.segments()} == {"celery"}


def test_a_wrong_setting_is_one_warning_and_the_request_goes_on(
    python: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    layout = LAYOUTS[1]
    project = Project(python, tmp_path, valkey.url, layout)
    project.environ["CELERYTRAIL_SPOOL_MAX_BYTES"] = "much"
    layout.write(project.folder)
    web = project.run("web.py")
    (line,) = said(web.stderr)
    assert "does not record" in line
    assert "CELERYTRAIL_SPOOL_MAX_BYTES" in line
    assert project.segments() == []
