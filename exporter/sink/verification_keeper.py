"""Keeps `celerytrail verify --every` running beside a sink; run by the sink, not by people.

Imports nothing but the standard library, so that it costs little. Ends when its standard input ends,
which is when the sink does, even by SIGKILL. Its exit code is always 0: some servers take the
code of an unknown child for one of their workers.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
END_SECONDS = 10.0
_CHUNK = 65_536


class VerificationKeeper:
    """Runs the command until told to stop, and writes what it says into ``status_file``."""

    def __init__(self, status_file: Path, command: list[str], heads: Path | None) -> None:
        self._status_file = status_file
        self._command = command
        self._heads = heads
        self._pause = FIRST_PAUSE_SECONDS
        self._verified: dict[int, int] = {}
        self._broken = False
        self._anchored: bool | None = None
        self._wait_for = selectors.DefaultSelector()
        self._wait_for.register(sys.stdin.buffer, selectors.EVENT_READ)

    def run(self) -> None:
        """Start the command again and again, until standard input ends."""
        self._write()
        while True:
            process = self._start()
            try:
                ended = self._listen(process)
            finally:
                _end(process)
            if not ended:
                return
            print(
                f"celerytrail sink: the verification ended with code {process.returncode};"
                f" it is started again in {self._pause:g} s",
                file=sys.stderr,
                flush=True,
            )
            if self._wait_for.select(self._pause):
                return
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        heads: list[str] = []
        if self._heads is not None:
            heads = ["--head-out", str(self._heads)]
            if self._heads.exists():
                heads += ["--against", str(self._heads)]
        return subprocess.Popen(
            [*self._command, *heads], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )

    def _listen(self, process: subprocess.Popen[bytes]) -> bool:
        """Take in what the command says; return True once it ended, False when to stop."""
        assert process.stdout is not None  # it was opened with a pipe
        output = process.stdout.fileno()
        self._wait_for.register(output, selectors.EVENT_READ)
        rest = b""
        try:
            while True:
                ready = {key.fd for key, _ in self._wait_for.select()}
                if output not in ready:
                    return False
                data = os.read(output, _CHUNK)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._take(line)
                if not data:
                    return True
        finally:
            self._wait_for.unregister(output)

    def _take(self, line: bytes) -> None:
        try:
            said: dict[str, Any] = json.loads(line)
            broken, full = said["verdict"] == "broken", said["mode"] == "full"
            anchored = bool(said["anchored"])
            heads = {int(head["chain"]): int(head["n"]) for head in said["ways"][-1]["heads"]}
        except (ValueError, KeyError, TypeError, IndexError):
            return
        # A run that reads only what is new cannot take back what a full one found.
        self._broken = broken or (self._broken and not full)
        self._anchored = anchored and not broken
        if not broken:
            self._verified.update(heads)
        self._pause = FIRST_PAUSE_SECONDS
        self._write()

    def _write(self) -> None:
        found = {
            "at": time.time(),
            "broken": self._broken,
            "anchored": self._anchored,
            "verified": self._verified,
        }
        half = self._status_file.with_suffix(".half")
        half.write_text(json.dumps(found), "utf-8")
        half.replace(self._status_file)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def main(arguments: list[str]) -> None:
    """Keep a verification: status file, seconds between runs, minutes between full ones, heads, other options."""
    status_file, every, full_every, heads, *options = arguments
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    command = [sys.executable, "-m", "celerytrail.exporter.cli", "verify", "--json"]
    command += ["--every", every, "--full-every", full_every, *options]
    VerificationKeeper(Path(status_file), command, Path(heads) if heads else None).run()


if __name__ == "__main__":
    main(sys.argv[1:])
