"""A process of the action API that kills itself in the middle of what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import DEADLINE_SECONDS

_ROOT = Path(__file__).parents[3]


def run_until_it_dies(code: str, *arguments: str) -> None:
    """Run Python code that can import the tests; fails unless it ends by SIGKILL."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
