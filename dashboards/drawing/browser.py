"""Runs a script of the Node project, which opens a browser without a window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from celerytrail.dashboards.drawing.errors import DrawingError
from celerytrail.dashboards.drawing.server import NODE_PROJECT


def run_script(name: str, job: Mapping[str, Any], seconds: float) -> Any:
    """Give a script a job as JSON and return the JSON that it answers.

    Raises:
        DrawingError: the script failed, or took longer than ``seconds``.
    """
    # A group of its own, so that the browser ends with the script whatever happens.
    process = subprocess.Popen(
        ["node", name],
        cwd=NODE_PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, said = process.communicate(json.dumps(job, allow_nan=False), timeout=seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise DrawingError(f"{name} took longer than {seconds:g} s") from error
        raise
    if process.returncode:
        raise DrawingError(f"{name} failed: {said.strip()[-2000:]}")
    return json.loads(output)
