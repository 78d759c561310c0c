"""``celery -A app trail doctor`` and ``status`` on the real command line, oldest and newest Celery."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from celerytrail.examples.embedded.ports import free_port
from tests.celery_versions import NEWEST, interpreter
from tests.integration.loading.django_project import LAYOUTS
from tests.sink_process import SinkProcess
from tests.waiting import DEADLINE_SECONDS

pytest_plugins = ["tests.sink_fixtures"]

HERE = Path(__file__).parent
Celery = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["5.2", NEWEST])
def celery(request: pytest.FixtureRequest, tmp_path: Path) -> Celery:
    python = interpreter(request.param)

    def run(*arguments: str, cwd: Path = tmp_path, **environ: str) -> Any:
        return subprocess.run(
            [python, "-m", "celery", *arguments],
            env={
                **{
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith(("CELERYTRAIL_", "OTEL_"))
                },
                "PYTHONPATH": str(HERE),
                "BROKER_URL": "redis://user:hush@127.0.0.1:1/0",
                "CELERYTRAIL_SPOOL_DIR": str(tmp_path / "spool"),
                **environ,
            },
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    return run


def besides_the_machine(told: Any) -> list[dict[str, str]]:
    """The findings that do not depend on where temporary files lie here."""
    return [one for one in told["findings"] if one["check"] not in ("file_system", "space")]


def test_what_hurts_is_found_and_ends_with_1(celery: Celery, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    environ = {"CELERYTRAIL_ENDPOINT": endpoint, "CELERYTRAIL_TOKEN": "hush"}
    done = celery("-A", "troubled_app", "trail", "doctor", "--json", **environ)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is False
    found = {(one["check"], one["severity"]) for one in besides_the_machine(told)}
    assert found == {
        ("visibility_timeout", "error"),  # of the time limit
        ("visibility_timeout", "warning"),  # of the retry delay, should it retry
        ("endpoint", "error"),
        ("lost_workers", "warning"),
        ("prefetch", "warning"),
        ("sealing", "info"),
    }
    text = celery("-A", "troubled_app", "trail", "doctor", **environ)
    assert text.returncode == 1
    assert f"ERROR endpoint: {endpoint} refuses the connection" in text.stdout
    assert "troubled_app.slow" in text.stdout
    assert "hush" not in done.stdout + text.stdout
    assert not (tmp_path / "spool").exists()


def test_what_does_not_hurt_ends_with_0(celery: Celery, tmp_path: Path, sink: SinkProcess) -> None:
    done = celery(
        *("-A", "sound_app", "trail", "doctor", "--json"),
        CELERYTRAIL_ENDPOINT=f"http://127.0.0.1:{sink.port}",
        CELERYTRAIL_TOKEN="hush",
    )
    told = json.loads(done.stdout)
    assert {one["check"] for one in besides_the_machine(told)} == {"sealing"}
    assert (done.returncode, told["ok"]) == (0, True)


def test_without_an_app_status_and_doctor_look_at_the_recorder(celery: Celery) -> None:
    status = celery("trail", "status", "--json")
    assert (json.loads(status.stdout)["app"], status.returncode) == ("", 0)
    doctor = celery("trail", "doctor", CELERYTRAIL_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert doctor.returncode == 1
    assert "INFO app: no app was given" in doctor.stdout


def test_status_and_doctor_know_djangos_settings(celery: Celery, tmp_path: Path) -> None:
    layout = LAYOUTS[1]
    project = tmp_path / "project"
    layout.write(project, 'CELERYTRAIL_SERVICE = "of django"\nCELERYTRAIL_SHIPPER = "off"\n')
    environ = {
        "DJANGO_SETTINGS_MODULE": layout.settings_module,
        "CELERYTRAIL_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    status = celery("-A", layout.target, "trail", "status", "--json", cwd=project, **environ)
    told = json.loads(status.stdout)
    assert (told["app"], told["service"]) == (layout.app_name, "of django")
    assert told["shipper_is_spawned"] is False
    doctor = celery("-A", layout.target, "trail", "doctor", cwd=project, **environ)
    assert "WARNING shipper: no shipper runs and CELERYTRAIL_SHIPPER is off" in doctor.stdout
