"""PID 1 of a container: runs some commands, passes SIGTERM on to all at once, waits for all.

The commands are given one after the other with ``--and--`` between them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

if __name__ == "__main__":
    commands: list[list[str]] = [[]]
    for argument in sys.argv[1:]:
        if argument == "--and--":
            commands.append([])
        else:
            commands[-1].append(argument)
    started = [subprocess.Popen(command, start_new_session=True) for command in commands]
    pids = {process.pid for process in started}
    signal.signal(signal.SIGTERM, lambda *_: [os.kill(pid, signal.SIGTERM) for pid in pids])
    while pids:
        pid, _ = os.wait()  # of others too: PID 1 inherits whom nobody waits for
        pids.discard(pid)
