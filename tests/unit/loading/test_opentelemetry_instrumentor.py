"""The instrumentor as OpenTelemetry uses it, and where OpenTelemetry's base class is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from opentelemetry.instrumentation.dependencies import get_dependency_conflicts
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from celerytrail.exporter.opentelemetry_instrumentor import CelerytrailInstrumentor

CODE = """
import sys
{before}
from celerytrail.exporter.opentelemetry_instrumentor import CelerytrailInstrumentor
from celerytrail.exporter.agent.install import installed
from celery import signals
for _ in range(2):
    CelerytrailInstrumentor().instrument(skip_dep_check=True, tracer_provider=object())
    assert installed() is not None
    assert len(signals.before_task_publish.receivers) == 1
CelerytrailInstrumentor().uninstrument()
assert installed() is None
assert not signals.before_task_publish.receivers
"""
# None in sys.modules makes the import fail as a package that is not installed does.
WITHOUT = 'sys.modules["opentelemetry.instrumentation.instrumentor"] = None'


@pytest.mark.parametrize("before", ["", WITHOUT], ids=["with", "without"])
def test_it_loads_the_agent_and_takes_it_away(tmp_path: Path, before: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(before=before)],
        env={
            **os.environ,
            "CELERYTRAIL_SPOOL_DIR": str(tmp_path / "spool"),
            "CELERYTRAIL_SHIPPER": "off",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # OpenTelemetry's own class says that the second time is one too many.
    assert done.stderr.splitlines() in (
        [],
        ["Attempting to instrument while already instrumented"],
    )
    assert not (tmp_path / "spool").exists()


def test_opentelemetry_finds_it_and_is_content() -> None:
    (found,) = [
        point
        for point in entry_points(group="opentelemetry_instrumentor")
        if point.name == "celerytrail"
    ]
    instrumentor = found.load()
    assert instrumentor is CelerytrailInstrumentor
    assert issubclass(instrumentor, BaseInstrumentor)
    assert get_dependency_conflicts(instrumentor().instrumentation_dependencies()) is None
