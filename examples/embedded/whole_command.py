"""A command that is run to its end, and that leaves nothing behind when it is cut off."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from celerytrail.examples.embedded.deferred_signals import deferred_signals
from celerytrail.examples.embedded.process_group import end_rest


def run_to_end(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    timeout_seconds: float,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a session of its own and return its exit code and what it said.

    Whatever cuts it off, a Ctrl-C or the timeout, is raised when the command and all that it
    started have ended. Raises OSError and subprocess.TimeoutExpired.
    """
    process = None
    try:
        with deferred_signals():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
            )
        out, err = process.communicate(timeout=timeout_seconds)
    except BaseException:
        if process is not None:
            with process:  # waits for it, and closes the pipes
                process.kill()
            end_rest(process.pid, 0.0)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
