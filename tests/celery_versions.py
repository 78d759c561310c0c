"""The Celerys that tests run workers and publishers of, and the interpreter that has each."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NEWEST = "newest"
CELERY_VERSIONS = (NEWEST, "5.5", "5.2")
"""The newest that is installed beside the tests, one from between, and the oldest we run on."""


def interpreter(version: str) -> str:
    """Return the Python that has this Celery; skip the test, saying so, where there is none."""
    if version == NEWEST:
        return sys.executable
    variable = f"CELERYTRAIL_TEST_CELERY{version.replace('.', '')}_PYTHON"
    found = os.environ.get(variable)
    if not found:
        pytest.skip(f"{variable} names no interpreter with Celery {version}")
    return found


def need_eventlet() -> None:
    """Skip the test where eventlet cannot be imported by the newest Python beside the tests.

    It is tried in another process: in ours eventlet would have a word on every later fork.
    """
    tried = subprocess.run(
        [sys.executable, "-c", "import eventlet"], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip("eventlet cannot be imported here")
