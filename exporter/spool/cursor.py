"""The ``.ack`` file beside a segment: how far it is acknowledged, and where its stream stands there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celerytrail.exporter.spool.atomic_file import replace_file
from celerytrail.exporter.spool.open_runs import OpenRun
from celerytrail.exporter.spool.plain import text_of


@dataclass(frozen=True, slots=True)
class Cursor:
    """Bytes of a segment that are acknowledged, and where its stream stands there.

    ``last_seq``, ``torn_bytes`` and ``closed`` are those of the whole stream; ``open_runs`` the runs
    that had begun and not ended.
    """

    offset: int
    last_seq: int
    torn_bytes: int
    closed: bool
    open_runs: tuple[OpenRun, ...] = ()

    def write(self, path: Path) -> None:
        """Replace the file. Raises OSError."""
        line = f"{self.offset} {self.last_seq} {self.torn_bytes} {int(self.closed)}\n"
        runs = [json.dumps(run, default=text_of) + "\n" for run in self.open_runs]
        replace_file(path, "".join((line, *runs)).encode())

    @classmethod
    def read(cls, path: Path) -> Cursor | None:
        """Return what the file says, None when there is none or it was lost in a crash.

        Without it everything is sent again, which is no loss.
        """
        try:
            line, *runs = path.read_text("utf-8").splitlines()
            offset, last_seq, torn_bytes, closed = map(int, line.split())
            open_runs = tuple(_open_run(json.loads(run)) for run in runs)
        except (OSError, ValueError, TypeError):
            return None
        if offset < 0:
            return None
        return cls(offset, last_seq, torn_bytes, bool(closed), open_runs)


def _open_run(values: Any) -> OpenRun:
    run_id, start, trail, request = values
    return OpenRun(str(run_id), int(start), trail, tuple(request))
